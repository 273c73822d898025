import { make, watch } from "/demo/demo.js";
import { connect } from "/tidings.js";

const lines = document.querySelector("#lines");
const name = document.querySelector("#name");
const text = document.querySelector("#text");
name.value = sessionStorage.getItem("name") ?? `Guest ${Math.floor(Math.random() * 90) + 10}`;

const chat = watch(connect("", { topics: "demo/chat", last: 30 }));

chat.addEventListener("message", (event) => {
  const line = JSON.parse(event.data);
  lines.append(make("li", {}, make("b", { textContent: line.name }), `  ${line.text}`));
  if (lines.children.length > 100) lines.firstChild.remove();
  lines.lastChild.scrollIntoView({ block: "nearest" });
});

document.querySelector("#say").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("name", name.value);
  fetch("/events/demo/chat", {
    method: "POST",
    body: JSON.stringify({ name: name.value, text: text.value }),
  });
  text.value = "";
});
