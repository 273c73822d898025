import { cameMeanwhile, make, watch } from "/demo/demo.js";
import { connect } from "/tidings.js";

const element = (id) => document.getElementById(id);
const topic = (id) => `demo/answers/${id}`;
let run;

// The answer's id is in the URL: a reload, or a second tab, shows the same answer from its
// beginning.
if (location.hash) reopen(location.hash.slice(1));
addEventListener("hashchange", () => {
  const id = location.hash.slice(1);
  if (id !== run?.id) reopen(id);
});

element("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const id = Math.random().toString(36).slice(2);
  location.hash = id;
  begin(id);
  const question = { id, text: element("question").value };
  await fetch("/events/demo/questions", { method: "POST", body: JSON.stringify(question) });
});

// Stop: the body of a DELETE is the topic's last event, for all tabs. The hub answers the producer,
// which is still writing, with 409 at once.
element("stop").addEventListener("click", () => {
  fetch(`/events/${topic(run.id)}?event=stopped`, { method: "DELETE", body: "stopped here" });
});

async function reopen(id) {
  const answer = await fetch(`/events/${topic(id)}?last=1`, {
    headers: { accept: "application/json" },
  });
  if ((await answer.json()).events?.length) begin(id);
  else element("note").textContent = "The hub no longer has this answer: ask again.";
}

function begin(id) {
  run?.source.close();
  run = { id, words: 0, source: undefined };
  element("answer").textContent = "";
  element("answer").dataset.busy = "";
  element("note").textContent = "";
  element("second").href = location.href;
  element("stop").disabled = false;
  element("second").hidden = false;
  listen({ from: "start" });
}

function listen(start) {
  const { id } = run;
  const source = connect("", { topics: topic(id), ...start });
  run.source = source;
  watch(source, { begin: () => reopen(id), listen });

  source.addEventListener("word", (event) => {
    run.words += 1;
    const { data } = event;
    // Words that came while the connection was cut are marked.
    element("answer").append(cameMeanwhile(event) ? make("mark", { textContent: data }) : data);
  });
  source.addEventListener("done", () => over(`${run.words} words, each an event`));
  source.addEventListener("stopped", () => over(`stopped after ${run.words} words, in all tabs`));
  // The last will of a producer that is gone.
  source.addEventListener("lost", ({ data }) => over(`${data} after ${run.words} words`));
}

function over(words) {
  delete element("answer").dataset.busy;
  element("stop").disabled = true;
  element("note").textContent = words;
}
