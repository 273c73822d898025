import { watch } from "/demo/demo.js";
import { connect } from "/tidings.js";

begin();

function begin() {
  listen({});
}

function listen(start) {
  const source = connect("", { topics: "demo/clock", multiplex: true, ...start });
  watch(source, { begin, listen });

  source.addEventListener("tick", ({ data, time }) => {
    const late = Date.now() - time;
    document.querySelector("#time").textContent = new Date(Number(data)).toLocaleTimeString();
    document.querySelector("#late").textContent = delay(late);
  });
}

/** The hub's clock may be ahead of this machine's. */
function delay(ms) {
  if (ms < 0) return `${-ms} ms before it was sent, by this machine's clock`;
  return ms < 1000 ? `${ms} ms after it was sent` : `${(ms / 1000).toFixed(1)} s after it was sent`;
}
