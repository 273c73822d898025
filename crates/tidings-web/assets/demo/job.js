import { make, watch } from "/demo/demo.js";
import { connect } from "/tidings.js";

const bar = document.querySelector("#bar");
const step = document.querySelector("#step");
const log = (text) => document.querySelector("#log").append(make("li", { textContent: text }));

// The job's id is in the URL, so that a reload finds it again.
if (location.hash) follow(location.hash.slice(1));

document.querySelector("#start").addEventListener("click", async () => {
  const id = Math.random().toString(36).slice(2);
  location.hash = id;
  document.querySelector("#log").replaceChildren();
  follow(id);
  await fetch("/events/demo/jobs", { method: "POST", body: JSON.stringify({ id }) });
});

function follow(id) {
  const source = watch(connect("", { topics: `demo/jobs/${id}`, last: 1 }), () => {
    step.textContent = "the hub no longer knows this job: start another";
  });

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
