import { make, show, watch } from "/demo/demo.js";
import { connect } from "/tidings.js";

/** How long the connection stays cut, and the longest pause within what then comes at once. */
const AWAY_MS = 4000;
const PAUSE_MS = 40;

const element = (id) => document.getElementById(id);
const topic = (id) => `demo/answers/${id}`;
let run;

// The answer's id is in the URL: a reload, or a second tab, shows the same answer from its
// beginning.
if (location.hash) reopen(location.hash.slice(1));

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

element("cut").addEventListener("click", () => {
  const { source } = run;
  source.close();
  element("cut").disabled = true;
  show("lost", `cut; back in ${AWAY_MS / 1000} s`);
  setTimeout(() => {
    if (run.source !== source) return;
    run.missed = { count: 0, at: undefined };
    listen({ after: source.lastEventId });
  }, AWAY_MS);
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
  run = { id, words: 0, source: undefined, missed: undefined };
  element("answer").textContent = "";
  element("answer").dataset.busy = "";
  element("note").textContent = "";
  element("second").href = location.href;
  for (const button of ["stop", "cut"]) element(button).disabled = false;
  element("second").hidden = false;
  listen({ from: "start" });
}

function listen(start) {
  const { id } = run;
  const source = watch(connect("", { topics: topic(id), ...start }), () => reopen(id));
  run.source = source;

  source.addEventListener("word", ({ data }) => {
    run.words += 1;
    element("answer").append(cameMeanwhile() ? make("mark", { textContent: data }) : data);
    element("cut").disabled = false;
  });
  source.addEventListener("done", () => over(`${run.words} words, each an event`));
  source.addEventListener("stopped", () => over(`stopped after ${run.words} words, in all tabs`));
  // The last will of a producer that is gone.
  source.addEventListener("lost", ({ data }) => over(`${data} after ${run.words} words`));
}

/** Whether a word comes at once with those that the hub kept while the connection was cut. */
function cameMeanwhile() {
  const { missed } = run;
  if (!missed) return false;
  const now = performance.now();
  if (now - (missed.at ?? now) > PAUSE_MS) {
    run.missed = undefined;
    return false;
  }
  missed.at = now;
  missed.count += 1;
  element("note").textContent = `${missed.count} words came meanwhile (marked); none is missing.`;
  return true;
}

function over(words) {
  delete element("answer").dataset.busy;
  for (const button of ["stop", "cut"]) element(button).disabled = true;
  element("note").textContent = words;
}
