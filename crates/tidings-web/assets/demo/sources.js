// The sources of a demo: its page, its publisher in Rust, and how others publish the same.

import { make } from "/demo/elements.js";
import { EXAMPLES, LANGUAGES } from "/demo/examples.js";

/** Shows what the page and its publisher consist of, beside the demo. */
export async function showSources(name) {
  const aside = make("aside", { className: "source", ariaLabel: "Sources" });
  document.body.append(aside);
  const [page, publisher] = await Promise.all([text(`${name}.js`), text(`${name}.rs`)]);
  if (page) aside.append(section(`The page: ${name}.js`, code(page, `${name}.js`)));
  const panels = {};
  if (publisher) panels.Rust = [code(publisher, `${name}.rs`), "This is what publishes here."];
  for (const [language, write] of Object.entries(LANGUAGES)) {
    const example = write(EXAMPLES[name], location.origin);
    panels[language] = [code(example, language), EXAMPLES[name].then];
  }
  aside.append(section("The publisher", ...tabs(panels)));
}

async function text(file) {
  const answer = await fetch(`/demo/${file}`);
  return answer.ok ? (await answer.text()).trim() : undefined;
}

function section(title, ...children) {
  return make("section", {}, make("h2", { textContent: title }), ...children);
}

function code(text, label) {
  const inner = make("code", { textContent: text });
  return make("pre", { tabIndex: 0, role: "region", ariaLabel: label }, inner);
}

/** A tab for each panel, with the keys that tabs have: arrows, Home and End. */
function tabs(panels) {
  const names = Object.keys(panels);
  const bar = make("div", { className: "tabs", role: "tablist", ariaLabel: "Languages" });
  const bodies = names.map((name) => {
    const [body, note] = panels[name];
    const panel = make("div", { id: `panel-${name}`, role: "tabpanel", ariaLabel: name }, body);
    panel.append(make("p", { className: "quiet small", textContent: note }));
    return panel;
  });
  const buttons = names.map((name, at) => {
    const button = make("button", { type: "button", role: "tab", textContent: name });
    button.setAttribute("aria-controls", bodies[at].id);
    button.addEventListener("click", () => choose(at));
    return button;
  });
  const choose = (chosen) => {
    buttons.forEach((button, at) => {
      button.setAttribute("aria-selected", at === chosen);
      button.tabIndex = at === chosen ? 0 : -1;
      bodies[at].hidden = at !== chosen;
    });
  };
  bar.append(...buttons);
  bar.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(document.activeElement);
    const last = buttons.length - 1;
    const next = {
      ArrowLeft: at > 0 ? at - 1 : last,
      ArrowRight: at < last ? at + 1 : 0,
      Home: 0,
      End: last,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    choose(next);
    buttons[next].focus();
  });
  choose(0);
  return [bar, ...bodies];
}
