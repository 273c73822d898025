import { watch } from "/demo/demo.js";
import { connect } from "/tidings.js";

begin();

function begin() {
  const source = watch(connect("", { topics: "demo/clock", multiplex: true }), begin);

  source.addEventListener("tick", (event) => {
    const sent = Number(event.data);
    const late = Date.now() - sent;
    document.querySelector("#time").textContent = new Date(sent).toLocaleTimeString();
    document.querySelector("#late").textContent = `${late} ms after it was sent`;
  });
}
