import { make, watch } from "/demo/demo.js";
import { connect } from "/tidings.js";

const list = document.querySelector("#notes");
begin();

function begin() {
  list.replaceChildren();
  listen({ last: 10 });
}

function listen(start) {
  const notes = connect("", { topics: "demo/notifications", multiplex: true, ...start });
  watch(notes, { begin, listen });

  for (const degree of ["info", "warning", "alert"]) {
    notes.addEventListener(degree, (event) => {
      const { text } = JSON.parse(event.data);
      const tag = make("span", { className: "tag", textContent: degree });
      tag.dataset.is = degree;
      list.prepend(make("li", {}, tag, text));
      if (list.children.length > 12) list.lastChild.remove();
      count();
    });
  }
}

// A notification read in one tab is read in all.
const tabs = new BroadcastChannel("read");
tabs.onmessage = read;
document.querySelector("#read").addEventListener("click", () => {
  tabs.postMessage("all");
  read();
});

function read() {
  for (const note of list.children) note.className = "read";
  count();
}

function count() {
  const unread = list.querySelectorAll("li:not(.read)").length;
  document.querySelector("#unread").textContent = unread;
  document.title = `${unread ? `(${unread}) ` : ""}Notifications · Tidings`;
}
