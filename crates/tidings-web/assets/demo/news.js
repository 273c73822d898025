import { make, watch } from "/demo/demo.js";

const list = document.querySelector("#news");
const source = watch(new EventSource("/events/demo/news?last=8"));

source.onmessage = (event) => {
  const { section, title } = JSON.parse(event.data);
  list.prepend(make("li", {}, make("span", { className: "tag", textContent: section }), title));
  if (list.children.length > 12) list.lastChild.remove();
};
