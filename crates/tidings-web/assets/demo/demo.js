// Shared parts of the demo pages: the navigation, the state of the connection, and the button that
// cuts it.

import { make } from "/demo/elements.js";
import { showSources } from "/demo/sources.js";

export { make };

const DEMOS = {
  counter: "Counter",
  clock: "Clock",
  news: "News",
  prices: "Prices",
  scores: "Scores",
  chat: "Chat",
  job: "Job",
  monitor: "Monitoring",
  notifications: "Notifications",
  assistant: "Assistant",
};

/** Time before a page loads what it shows again, in milliseconds. */
const AGAIN_MS = 500;

/** How long a cut connection stays cut, in milliseconds. */
const AWAY_MS = 4000;

/** Longest list of events that came meanwhile, and longest text of one of them, in characters. */
const LISTED_MAX = 8;
const TEXT_MAX = 60;

const here = document.body.dataset.demo;
const state = make("span", { className: "state", role: "status" });
const scissors = make("button", {
  type: "button",
  textContent: "Cut the connection",
  disabled: true,
});
const summary = make("p", { role: "status" });
const list = make("ol", { className: "list plain mono small" });
const panel = make("section", { className: "meanwhile card", hidden: true }, summary, list);

/** What is shown at present: its connection, and how to show it again. */
let current;
/** Why everything was loaded again, as words for the next state. */
let reloaded = "";
/** The last event before the page came back after a cut, by number, and how many came meanwhile. */
let cut;

/**
 * Shows the state of a connection of tidings.js. Where events may be missing, `begin` shows
 * everything anew. After a cut, `listen` continues where the connection was.
 */
export function watch(source, { begin, listen }) {
  current = { source, listen };
  show("connecting", "connecting");
  source.addEventListener("open", () => show("open", `connected${reloaded}`));
  source.addEventListener("resumed", () => show("open", "connected, nothing missed"));
  source.addEventListener("error", () => show("lost", "connection lost, trying again"));
  source.addEventListener("reset", ({ detail }) => {
    source.close();
    show("lost", `events may be missing (${detail.reason}): loading again`);
    setTimeout(() => {
      reloaded = `; loaded again, because events may be missing (${detail.reason})`;
      cut = undefined;
      panel.hidden = true;
      begin();
    }, AGAIN_MS);
  });
  source.addEventListener("closed", ({ detail }) => {
    scissors.disabled = true;
    if (detail.reason === "ended") show("closed", "ended");
    else if (detail.reason !== "closed here")
      show("closed", detail.problem?.detail ?? detail.reason);
  });
  source.onevent = (event) => {
    scissors.disabled = source.readyState === 2;
    if (cameMeanwhile(event)) note(event);
  };
}

/** Whether an event was published while the connection was cut. */
export function cameMeanwhile({ lastEventId }) {
  return Boolean(cut) && numberIn(lastEventId) <= cut.last;
}

/** The hub numbers all events of its log; the number ends the id. */
const numberIn = (id) => Number(id.split(":").at(-1));

scissors.addEventListener("click", () => {
  const { source, listen } = current;
  source.close();
  cut = undefined;
  panel.hidden = true;
  show("lost", `cut; back in ${AWAY_MS / 1000} s`);
  setTimeout(async () => {
    const last = await lastNumber();
    if (current.source !== source) return;
    reloaded = "";
    cut = { last, count: 0 };
    summary.textContent = "No event came while the connection was cut.";
    list.replaceChildren();
    panel.hidden = false;
    listen({ after: source.lastEventId });
  }, AWAY_MS);
});

/** The number of the hub's last event; NaN if the hub does not answer. */
async function lastNumber() {
  try {
    const headers = { accept: "application/json" };
    const answer = await fetch(`/events/demo/${here}?from=now`, { headers });
    return numberIn((await answer.json()).next);
  } catch {
    return NaN;
  }
}

/** Adds an event to the list of those that came meanwhile. */
function note({ type, topic, data }) {
  cut.count += 1;
  const many = cut.count === 1 ? "1 event" : `${cut.count} events`;
  const most = cut.count > LISTED_MAX ? `; the latest ${LISTED_MAX}:` : ":";
  summary.textContent = `${many} came while the connection was cut; none is missing${most}`;
  const text = data.length > TEXT_MAX ? `${data.slice(0, TEXT_MAX)} …` : data;
  list.append(make("li", { textContent: `${topic}  ${type}  ${text}` }));
  if (list.children.length > LISTED_MAX) list.firstChild.remove();
}

/** Shows a state: connecting, open, lost or closed, and what that means. */
function show(is, words) {
  state.dataset.is = is;
  state.textContent = words;
}

const nav = make("nav", { ariaLabel: "Demos" });
for (const [name, title] of Object.entries(DEMOS)) {
  const link = make("a", { href: `/demo/${name}`, textContent: title });
  if (name === here) link.setAttribute("aria-current", "page");
  nav.append(link);
}
const header = make("header", {}, make("a", { href: "/", textContent: "Tidings" }), nav);
document.body.prepend(header);

if (here) {
  header.append(make("div", { className: "row connection" }, state, scissors));
  document.querySelector("main").append(panel);
  showSources(here);
}
