import { watch } from "/demo/demo.js";
import { connect } from "/tidings.js";

begin();

function begin() {
  const source = watch(connect("", { topics: "demo/counter", last: 1, multiplex: true }), begin);

  source.onmessage = (event) => {
    document.querySelector("#count").textContent = event.data;
  };
}
