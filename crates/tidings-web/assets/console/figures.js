// The hub's counters, polled once a second, as figures and lines.

import { Chart, bytes, compact } from "/chart.js";
import { hub } from "./hub.js";

export class Figures {
  #before;
  #lines = {};

  /** `element(id)` finds the page's elements. */
  constructor(element) {
    for (const [name, format] of [
      ["subscribers", compact],
      ["published", compact],
      ["deliveries", compact],
      ["bytes", bytes],
    ]) {
      const chart = new Chart(element(`${name}-chart`), { format, since: "2 min ago" });
      const output = element(name);
      this.#lines[name] = (value) => {
        chart.push(value);
        output.textContent = format(value);
      };
    }
  }

  async refresh() {
    const stats = await hub.ask("/stats");
    const now = performance.now();
    const before = this.#before;
    this.#before = { stats, now };
    this.#lines.subscribers(stats.subscribers);
    showLog(stats.shared_log);
    // After a restart the hub counts from the beginning.
    if (
      !before ||
      stats.deliveries < before.stats.deliveries ||
      stats.published < before.stats.published
    )
      return;
    const rate = (name) => ((stats[name] - before.stats[name]) * 1000) / (now - before.now);
    this.#lines.published(rate("published"));
    this.#lines.deliveries(rate("deliveries"));
    this.#lines.bytes(rate("bytes_written"));
  }
}

/** Says that a log that several hubs share takes no events, or that this hub is behind it. */
function showLog(log) {
  const line = document.getElementById("log-why");
  const [away, behind] = [log?.away_s ?? 0, log?.behind_s ?? 0].map(Math.floor);
  line.hidden = away < 1 && behind < 1;
  if (line.hidden) return;
  line.textContent =
    away >= 1
      ? `Publishing has been down for ${away} s: the shared log takes no events. Streams continue.`
      : `This hub is ${behind} s behind the shared log.`;
}
