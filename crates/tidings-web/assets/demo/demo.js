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

/** Time before what is shown is loaded again, in milliseconds. */
const AGAIN_MS = 500;

/**
 * Shows the state of a connection of tidings.js. After a reset events may be missing, so the
 * connection is closed and `again` is called to show everything anew.
 */
export function watch(source, again) {
  show("connecting", "connecting");
  source.addEventListener("open", () => show("open", "connected"));
  source.addEventListener("resumed", () => show("open", "connected, nothing missed"));
  source.addEventListener("error", () => show("lost", "connection lost, trying again"));
  source.addEventListener("reset", ({ detail }) => {
    source.close();
    show("lost", `events may be missing (${detail.reason}): loading again`);
    setTimeout(again, AGAIN_MS);
  });
  source.addEventListener("closed", ({ detail }) => {
    if (detail.reason === "ended") show("closed", "ended");
    else if (detail.reason !== "closed here")
      show("closed", detail.problem?.detail ?? detail.reason);
  });
  return source;
}

/** Shows a state: connecting, open, lost or closed, and what that means. */
export function show(is, words) {
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
