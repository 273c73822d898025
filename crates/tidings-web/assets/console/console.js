// The console: a tail of events, the topics, the hub's figures, and a form to publish. It uses the
// public API and tidings.js, like any other page could.

import { Figures } from "./figures.js";
import { hub } from "./hub.js";
import { publishing } from "./publish.js";
import { Tail } from "./tail.js";
import { Topics } from "./topics.js";

const element = (id) => document.getElementById(id);

const tail = new Tail(
  {
    rows: element("rows"),
    needle: element("needle"),
    pause: element("pause"),
    clear: element("clear"),
    rate: element("tail-rate"),
  },
  (is, words, error) => {
    element("state").dataset.is = is;
    element("state").textContent = words;
    if (error?.status === 401 || error?.status === 403) askForToken(error.message);
  },
);

const topics = new Topics(
  {
    rows: element("topics"),
    none: element("topics-none"),
    prefix: element("prefix"),
    audienceHead: element("audience-head"),
    known: element("known-topics"),
  },
  (topic) => {
    element("matcher").value = topic;
    listen();
  },
);

const figures = new Figures(element);

function listen() {
  const wanted = element("matcher")
    .value.split(/[\s,]+/)
    .filter(Boolean);
  tail.listen(wanted.length ? wanted : ["**"]);
}

/** Polls repeatedly, but not while the page is hidden, and slowly while the hub does not answer. */
function repeat(every, ask) {
  const turn = async () => {
    let wait = every;
    try {
      if (!document.hidden) await ask();
    } catch {
      wait = 2000;
    }
    setTimeout(turn, wait);
  };
  turn();
}

function askForToken(why) {
  element("token-form").hidden = false;
  element("token-open").setAttribute("aria-expanded", "true");
  element("token-why").textContent = why;
}

element("tail-form").addEventListener("submit", (event) => {
  event.preventDefault();
  listen();
});

element("token-open").addEventListener("click", () => {
  const form = element("token-form");
  form.hidden = !form.hidden;
  element("token-open").setAttribute("aria-expanded", String(!form.hidden));
  if (!form.hidden) element("token").focus();
});

element("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  hub.token = element("token").value.trim();
  element("token").value = "";
  element("token-form").hidden = true;
  element("token-open").setAttribute("aria-expanded", "false");
  element("token-why").textContent = "";
  listen();
});

element("token-forget").addEventListener("click", () => {
  hub.token = "";
  listen();
});

publishing(element);
listen();
repeat(1000, () => figures.refresh());
repeat(2000, () => topics.refresh());
fetch("/demo/", { method: "HEAD" }).then((answer) => (element("demos").hidden = !answer.ok));
