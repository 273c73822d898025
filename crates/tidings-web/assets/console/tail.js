// The table of latest events. It draws at most five times a second and never more rows than fit a
// look, so a thousand events a second cost no more than five.

import { Feed, KEPT } from "./feed.js";

const ROWS = 100;
const DRAW_MS = 200;
const TEXT_MAX = 600;

const WORDS = {
  connecting: "connecting",
  open: "connected",
  lost: "connection lost, trying again",
  closed: "the hub ended the stream for good",
  refused: "not allowed",
};

export class Tail {
  #feed;
  #notes = [];
  #isOpen = false;
  #paused = false;
  #due = false;
  #drawn = 0;
  #seen = 0;
  #parts;
  #onState;

  /** `parts`: the elements; `onState(is, words, error)` gets the state of the connection. */
  constructor(parts, onState) {
    this.#parts = parts;
    this.#onState = onState;
    parts.needle.addEventListener("input", () => this.#draw(true));
    parts.clear.addEventListener("click", () => {
      this.#feed?.events.splice(0);
      this.#notes = [];
      this.#draw(true);
    });
    parts.pause.addEventListener("click", () => this.#pause(!this.#paused));
    let before = 0;
    let at = performance.now();
    setInterval(() => {
      const [count, now] = [this.#feed?.count ?? 0, performance.now()];
      const rate = Math.max(0, (count - before) / ((now - at) / 1000));
      [before, at] = [count, now];
      parts.rate.textContent = rate ? `${rate.toFixed(rate < 10 ? 1 : 0)} a second` : "";
      if (this.#paused) this.#label();
    }, 1000);
  }

  listen(topics) {
    this.#feed?.close();
    this.#notes = [];
    this.#pause(false);
    this.#onState("connecting", WORDS.connecting);
    this.#feed = new Feed(topics, (what, detail) => this.#hear(what, detail));
    this.#draw(true);
  }

  #hear(what, detail) {
    if (what === "events") {
      this.#ask();
      return;
    }
    if (what === "resumed") {
      this.#note("resumed", `resumed after ${detail || "the beginning"}: nothing was missed`);
    } else if (what === "reset") {
      const lost = `events after ${detail.requested} may be missing`;
      const next = detail.first ?? "the next event";
      this.#note("reset", `reset (${detail.reason}): ${lost}; continues with ${next}`);
    } else {
      this.#isOpen = what === "open";
      const words = what === "refused" ? refusal(detail) : WORDS[what];
      this.#onState(what === "refused" ? "closed" : what, WORDS[what], detail);
      // Every failed attempt reports it; once is enough.
      if (this.#notes[0]?.is !== what || what === "open") this.#note(what, words);
    }
  }

  #note(is, text) {
    this.#notes.unshift({ is, text, at: new Date() });
    this.#notes.length = Math.min(this.#notes.length, 20);
    this.#draw(true);
  }

  #pause(paused) {
    this.#paused = paused;
    this.#seen = this.#feed?.count ?? 0;
    this.#parts.pause.setAttribute("aria-pressed", paused);
    this.#label();
    if (!paused) this.#draw(true);
  }

  #label() {
    const missed = (this.#feed?.count ?? 0) - this.#seen;
    this.#parts.pause.textContent = this.#paused
      ? `Continue${missed ? ` (${missed} new)` : ""}`
      : "Pause";
  }

  #ask() {
    if (this.#due || this.#paused) return;
    this.#due = true;
    setTimeout(
      () => {
        this.#due = false;
        if (!this.#paused) this.#draw();
      },
      Math.max(0, DRAW_MS - (performance.now() - this.#drawn)),
    );
  }

  #draw(anyway = false) {
    if (document.hidden && !anyway) return;
    this.#drawn = performance.now();
    const needle = this.#parts.needle.value.toLowerCase();
    const has = (text) => text?.toLowerCase().includes(needle);
    const events = [];
    for (const event of this.#feed?.events.slice(0, KEPT) ?? []) {
      if (!needle || has(event.data) || has(event.topic) || has(event.type)) events.push(event);
      if (events.length === ROWS) break;
    }
    const lines = [...events, ...this.#notes].sort((a, b) => b.at - a.at).slice(0, ROWS);
    this.#parts.rows.replaceChildren(...lines.map(row));
    const { none } = this.#parts;
    none.hidden = events.length > 0 || !this.#isOpen;
    if (needle) none.textContent = "No event contains this text.";
    else none.replaceChildren("No events yet. Publish one with the form, or: ", example());
  }
}

/** A command that publishes here. A line ends before its URL, and not within `-d`. */
function example() {
  const [code, start] = [document.createElement("code"), document.createElement("span")];
  start.className = "unbroken";
  start.textContent = "curl -d world";
  code.append(start, ` ${location.origin}/events/hello`);
  return code;
}

/** The hub's words for 401 are for programs. */
function refusal({ status, message }) {
  return status === 401 ? "sign in to see events" : `${WORDS.refused}: ${message}`;
}

function row(line) {
  const tr = document.createElement("tr");
  const cell = (name, text) => {
    const td = document.createElement("td");
    td.className = name;
    td.textContent = text;
    tr.append(td);
    return td;
  };
  cell("time", clock(line.at));
  if (line.is) {
    tr.className = "note";
    tr.dataset.is = line.is;
    cell("words", line.text).colSpan = 4;
    return tr;
  }
  cell("topic", line.topic ?? "");
  cell("type", line.type);
  cell(
    "data",
    line.data.length > TEXT_MAX
      ? `${line.data.slice(0, TEXT_MAX)} … (${line.data.length} characters)`
      : line.data,
  );
  cell("id", line.id);
  return tr;
}

const padded = (number, width) => String(number).padStart(width, "0");

function clock(at) {
  const parts = [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => padded(part, 2));
  return `${parts.join(":")}.${padded(at.getMilliseconds(), 3)}`;
}
