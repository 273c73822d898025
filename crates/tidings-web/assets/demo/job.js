import { closeEnded, make, watch } from "/demo/demo.js";

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
  const source = watch(new EventSource(`/events/demo/jobs/${id}?last=1`));

  source.addEventListener("progress", (event) => {
    const { percent, step: what } = JSON.parse(event.data);
    bar.value = percent;
    step.textContent = `${what}, ${percent} %`;
  });

  source.addEventListener("end", () => {
    bar.value = 100;
    step.textContent = "done";
    log("event: end");
    // Without this the browser would ask once more, a day later.
    closeEnded(source);
  });

  source.addEventListener("error", () => {
    // 204: a job that ended, whose events are no longer kept.
    const over = source.readyState === EventSource.CLOSED;
    log(
      over
        ? "the hub said 204: this stream is closed for good"
        : "the stream closed, the browser comes back",
    );
    if (over) step.textContent = "done";
  });
}
