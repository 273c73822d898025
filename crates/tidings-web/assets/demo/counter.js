import { watch } from "/demo/demo.js";
import { connect } from "/tidings.js";

begin();

function begin() {
  listen({ last: 1 });
}

function listen(start) {
  const source = connect("", { topics: "demo/counter", multiplex: true, ...start });
  watch(source, { begin, listen });

  source.onmessage = (event) => {
    document.querySelector("#count").textContent = event.data;
  };
}
