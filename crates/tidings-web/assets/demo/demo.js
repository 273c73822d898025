// Shared parts of the demo pages: the navigation, the state of the stream, and the sources.

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

const here = document.body.dataset.demo;
const state = make("span", { className: "state", role: "status" });

/** Shows the state of an EventSource, or of a connection of tidings.js. */
export function watch(source) {
  show("connecting", "connecting");
  source.addEventListener("open", () => show("open", "connected"));
  source.addEventListener("resumed", () => show("open", "connected, nothing missed"));
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) show("closed", "ended");
    else show("lost", "connection lost, trying again");
  });
  source.addEventListener("closed", () => show("closed", "ended"));
  return source;
}

/** Closes a source that `watch` shows, whose topic has ended. */
export function closeEnded(source) {
  source.close();
  show("closed", "ended");
}

function show(is, words) {
  state.dataset.is = is;
  state.textContent = words;
}

/** An element with properties and children. */
export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
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
  header.append(state);
  showSources(`${here}.js`, `${here}.rs`);
}

async function showSources(page, publisher) {
  const aside = make("aside", { className: "source", ariaLabel: "Sources" });
  document.body.append(aside);
  for (const [file, what] of [
    [page, "the page"],
    [publisher, "the publisher"],
  ]) {
    const answer = await fetch(`/demo/${file}`);
    if (!answer.ok) continue;
    const code = make("code", { textContent: (await answer.text()).trim() });
    const text = make("pre", { tabIndex: 0, role: "region", ariaLabel: file }, code);
    aside.append(make("section", {}, make("h2", { textContent: `${file}: ${what}` }), text));
  }
}
