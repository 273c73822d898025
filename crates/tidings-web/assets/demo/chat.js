import { make, watch } from "/demo/demo.js";
import { connect } from "/tidings.js";

const lines = document.querySelector("#lines");
const name = document.querySelector("#name");
const text = document.querySelector("#text");
const why = document.querySelector("#why");
name.value = sessionStorage.getItem("name") ?? `Guest ${Math.floor(Math.random() * 90) + 10}`;
begin();

function begin() {
  lines.replaceChildren();
  listen({ last: 30 });
}

function listen(start) {
  const chat = connect("", { topics: "demo/chat", multiplex: true, ...start });
  watch(chat, { begin, listen });

  chat.onmessage = (event) => {
    const line = JSON.parse(event.data);
    lines.append(make("li", {}, make("b", { textContent: line.name }), `  ${line.text}`));
    if (lines.children.length > 100) lines.firstChild.remove();
    lines.lastChild.scrollIntoView({ block: "nearest" });
  };
}

document.querySelector("#say").addEventListener("submit", async (event) => {
  event.preventDefault();
  sessionStorage.setItem("name", name.value);
  const line = { name: name.value, text: text.value };
  why.textContent = "";
  try {
    const answer = await fetch("/events/demo/chat", { method: "POST", body: JSON.stringify(line) });
    // What was typed meanwhile stays.
    if (answer.ok && text.value === line.text) text.value = "";
    if (!answer.ok) unsent((await answer.json()).detail);
  } catch {
    unsent("the hub cannot be reached");
  }
});

function unsent(because) {
  why.textContent = `Not sent: ${because}. Your text is still there: try again.`;
}
