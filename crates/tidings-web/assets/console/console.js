// The console: a tail of events, the topics, the hub's figures, and a form to publish. It uses the
// public API and tidings.js, like any other page could.

import { Figures } from "./figures.js";
import { hub } from "./hub.js";
import { publishing } from "./publish.js";
import { Tail } from "./tail.js";
import { Topics } from "./topics.js";

const NEEDS_TOKEN = "This hub needs a token.";

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
    if (error?.status === 401) {
      askForToken(
        hub.token ? `The hub does not accept this token: ${error.message}.` : NEEDS_TOKEN,
      );
    } else if (error?.status === 403) {
      askForToken(`This token may not read these topics: ${error.message}.`);
    }
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
  tail.listen(wanted);
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

/** Shows the form, and says why; it gets the focus unless somebody is typing elsewhere. */
function askForToken(why) {
  element("token-form").hidden = false;
  element("token-open").setAttribute("aria-expanded", "true");
  element("token-why").textContent = why;
  if (!document.activeElement?.matches("input, textarea")) element("token").focus();
}

/** Use of a token, or of none. */
function useToken(token) {
  hub.token = token;
  element("token").value = "";
  element("token-form").hidden = true;
  element("token-open").setAttribute("aria-expanded", "false");
  element("token-why").textContent = "";
  element("figures-why").hidden = true;
  // What a narrow token may read stands where it can be changed.
  element("matcher").value = hub.granted.join(", ");
  listen();
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
  useToken(element("token").value.trim());
  element("matcher").focus();
});

element("token-forget").addEventListener("click", () => useToken(""));

publishing(element);
element("matcher").value = hub.granted.join(", ");
listen();
repeat(
  1000,
  () => figures.refresh(),
  ({ status }) => {
    const why = element("figures-why");
    why.hidden = status !== 403;
    why.textContent = "Only a token that may read everything shows the hub's figures.";
  },
);
repeat(2000, () => topics.refresh());
fetch("/demo/", { method: "HEAD" }).then((answer) => (element("demos").hidden = !answer.ok));
