import { watch } from "/demo/demo.js";

const answer = document.querySelector("#answer");
const note = document.querySelector("#note");

// The answer's id is in the URL: a reload, or a second tab, subscribes to the same topic from its
// beginning.
if (location.hash) listen(location.hash.slice(1));

document.querySelector("#ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const id = Math.random().toString(36).slice(2);
  location.hash = id;
  listen(id);
  const text = document.querySelector("#question").value;
  await fetch("/events/demo/questions", { method: "POST", body: JSON.stringify({ id, text }) });
});

function listen(id) {
  let words = 0;
  answer.textContent = "";
  answer.dataset.busy = "";
  note.textContent = "";
  const source = watch(new EventSource(`/events/demo/answers/${id}?last=10000`));

  source.addEventListener("word", (event) => {
    answer.append(event.data);
    words += 1;
  });

  source.addEventListener("end", () => {
    source.close();
    delete answer.dataset.busy;
    note.textContent = `${words} words, ${words} events`;
  });

  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) delete answer.dataset.busy;
  });
}
