import { make, watch } from "/demo/demo.js";
import { connect } from "/tidings.js";

const bar = document.querySelector("#bar");
const step = document.querySelector("#step");
const log = (text) => document.querySelector("#log").append(make("li", { textContent: text }));

// The job's id is in the URL, so that a reload finds it again.
const id = () => location.hash.slice(1);
let source;
if (id()) begin();
addEventListener("hashchange", begin);

document.querySelector("#start").addEventListener("click", async () => {
  location.hash = Math.random().toString(36).slice(2);
  await fetch("/events/demo/jobs", { method: "POST", body: JSON.stringify({ id: id() }) });
});

function begin() {
  source?.close();
  bar.value = 0;
  step.textContent = "";
  document.querySelector("#log").replaceChildren();
  listen({ last: 1 });
}

function forget() {
  step.textContent = "the hub no longer knows this job: start another";
}

function listen(start) {
  source = connect("", { topics: `demo/jobs/${id()}`, ...start });
  watch(source, { begin: forget, listen });

  source.addEventListener("progress", (event) => {
    const { percent, step: what } = JSON.parse(event.data);
    bar.value = percent;
    step.textContent = `${what}, ${percent} %`;
  });

  source.addEventListener("end", () => log("event: end"));
  source.onerror = () => log("the connection is lost; the page comes back");
  source.onclosed = ({ detail }) => {
    if (detail.reason !== "ended") return;
    bar.value = 100;
    step.textContent = "done";
    log("this stream is closed for good");
  };
}
