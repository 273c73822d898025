import { make, watch } from "/demo/demo.js";
import { connect } from "/tidings.js";

const list = document.querySelector("#news");
begin();

function begin() {
  list.replaceChildren();
  listen({ last: 8 });
}

function listen(start) {
  const source = connect("", { topics: "demo/news", multiplex: true, ...start });
  watch(source, { begin, listen });

  source.onmessage = (event) => {
    const { section, title } = JSON.parse(event.data);
    list.prepend(make("li", {}, make("span", { className: "tag", textContent: section }), title));
    if (list.children.length > 12) list.lastChild.remove();
  };
}
