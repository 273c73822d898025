// The console: a tail of events, the topics, the hub's figures, and a form to publish. It uses the
// public API and tidings.js, like any other page could.

import { Access, topicsIn } from "./access.js";
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
    none: element("rows-none"),
  },
  (is, words, error) => {
    element("state").dataset.is = is;
    element("state").textContent = words;
    if ([401, 403].includes(error?.status)) access.ask(error);
  },
);

const topics = new Topics(
  {
    rows: element("topics"),
    none: element("topics-none"),
    prefix: element("prefix"),
    audienceHead: element("audience-head"),
    keysHead: element("keys-head"),
    known: element("known-topics"),
  },
  (topic) => {
    element("matcher").value = topic;
    listen();
  },
);

const figures = new Figures(element);

const access = new Access(element, () => {
  element("figures-why").hidden = true;
  begin();
});

function listen() {
  tail.listen(topicsIn(element("matcher").value));
}

/** Listens to all that may be read; a narrow grant stands where it can be changed. */
function begin() {
  element("matcher").value = hub.granted.join(", ");
  listen();
}

/** Polls repeatedly, but not while the page is hidden, and slowly while the hub does not answer. */
function repeat(every, ask, failed) {
  const turn = async () => {
    let wait = every;
    try {
      if (!document.hidden) await ask();
    } catch (error) {
      wait = 2000;
      failed?.(error);
    }
    setTimeout(turn, wait);
  };
  turn();
}

element("tail-form").addEventListener("submit", (event) => {
  event.preventDefault();
  listen();
});

publishing(element);
await access.begin();
begin();
repeat(
  1000,
  () => figures.refresh(),
  ({ status }) => {
    const isLocked = status === 401 || status === 403;
    if (isLocked) access.offer();
    const why = element("figures-why");
    why.hidden = !isLocked;
    why.textContent = hub.isSignedIn
      ? "You may not see the hub's figures: your token must read everything, or “look”."
      : "Sign in to see the hub's figures.";
  },
);
repeat(2000, () => topics.refresh());
fetch("/demo/", { method: "HEAD" }).then((answer) => (element("demos").hidden = !answer.ok));
