// All topics, the busiest first.

import { bytes as sized, compact } from "/chart.js";
import { hub } from "./hub.js";

const SHOWN = 100;
/** Time over which a rate is measured: a topic with an event every few seconds must not flicker. */
const WINDOW_MS = 6000;

export class Topics {
  #parts;
  #choose;
  #before = new Map();

  /** `choose(topic)`: called when the user selects a topic. */
  constructor(parts, choose) {
    this.#parts = parts;
    this.#choose = choose;
    parts.prefix.addEventListener("input", () => this.refresh());
  }

  async refresh() {
    const query = new URLSearchParams({ limit: 1000, prefix: this.#parts.prefix.value });
    const { topics, next } = await hub.ask(`/topics?${query}`);
    const now = performance.now();
    const rates = topics.map((entry) => ({ ...entry, rate: this.#rate(entry, now) }));
    rates.sort((a, b) => b.rate - a.rate || b.events - a.events || (a.topic < b.topic ? -1 : 1));
    const counted = topics.some((entry) => entry.subscribers !== undefined);
    this.#parts.audienceHead.hidden = !counted;
    // Most topics have no state.
    const keyed = topics.some((entry) => entry.keys > 0);
    this.#parts.keysHead.hidden = !keyed;
    // A topic with the keyboard focus keeps it.
    const held = document.activeElement?.dataset?.topic;
    this.#parts.rows.replaceChildren(
      ...rates.slice(0, SHOWN).map((entry) => this.#row(entry, { counted, keyed })),
    );
    if (held)
      this.#parts.rows
        .querySelector(`[data-topic="${CSS.escape(held)}"]`)
        ?.focus({ preventScroll: true });
    const more = next || rates.length > SHOWN;
    this.#parts.none.hidden = rates.length > 0 && !more;
    this.#parts.none.textContent = more
      ? "There are more topics: type the beginning of their names."
      : "None yet.";
    const known = rates
      .slice(0, SHOWN)
      .map(({ topic }) => Object.assign(document.createElement("option"), { value: topic }));
    this.#parts.known.replaceChildren(...known);
    for (const topic of this.#before.keys()) {
      if (this.#before.size > 2000) this.#before.delete(topic);
    }
  }

  #rate({ topic, events }, now) {
    const seen = this.#before.get(topic) ?? [];
    seen.push({ events, now });
    while (seen.length > 2 && now - seen[1].now > WINDOW_MS) seen.shift();
    this.#before.set(topic, seen);
    const past = now - seen[0].now;
    return past > 0 ? Math.max(0, ((events - seen[0].events) * 1000) / past) : 0;
  }

  #row(entry, { counted, keyed }) {
    const { topic, events, rate, ended, bytes, keys, subscribers } = entry;
    const tr = document.createElement("tr");
    const name = document.createElement("td");
    const button = Object.assign(document.createElement("button"), {
      type: "button",
      className: "link",
      textContent: topic,
    });
    button.dataset.topic = topic;
    button.title = `from ${entry.first_id} to ${entry.last_id}`;
    button.addEventListener("click", () => this.#choose(topic));
    name.append(button, ended ? " (ended)" : "");
    tr.append(name);
    const number = (text) => {
      const td = document.createElement("td");
      td.className = "number";
      td.textContent = text;
      tr.append(td);
    };
    number(compact(events));
    number(rate ? rate.toFixed(rate < 10 ? 1 : 0) : "");
    number(sized(bytes));
    if (keyed) number(keys ? compact(keys) : "");
    if (counted) number(compact(subscribers ?? 0));
    return tr;
  }
}
