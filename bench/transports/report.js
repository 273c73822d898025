// The measurements as a table and as a chart.

const NAMES = {
  sse: "SSE",
  websocket: "WebSocket",
  long: "long polling",
  short: "short polling, each second",
};
const SERVERS = { tidings: "Tidings", plain: "plain server" };

const named = ({ server, transport }) => `${NAMES[transport]}, ${SERVERS[server]}`;

const digits = (value, most = 1) =>
  value.toLocaleString("en", { maximumFractionDigits: value < 10 ? most : 0 });

const COLUMNS = [
  "server CPU, % of one core",
  "requests / s",
  "kB/s to the server",
  "kB/s from it",
  "latency p50, ms",
  "p99, ms",
];

const row = (cells) => `| ${cells.join(" | ")} |`;

const heading = (rate) => `${rate} event${rate === 1 ? "" : "s"} a second`;

export function table({ results }) {
  let text = "";
  for (const rate of [...new Set(results.map((result) => result.rate))]) {
    text += `\n**${heading(rate)}**\n\n`;
    text += `| ${row(COLUMNS)}\n`;
    text += "|---|--:|--:|--:|--:|--:|--:|\n";
    for (const result of results.filter((result) => result.rate === rate)) {
      text += row([
        named(result),
        digits(result.cpu_percent),
        digits(result.requests_per_second),
        digits(result.sent_per_second / 1000),
        digits(result.received_per_second / 1000),
        digits(result.p50_ms),
        digits(result.p99_ms),
      ]);
      if (result.delivered !== result.expected)
        text += ` ${result.delivered} of ${result.expected} arrived`;
      text += "\n";
    }
  }
  return `${text}\n`;
}

/** Server CPU of all, on a logarithmic scale: a group of bars for each rate. */
export function chart({ results, clients }) {
  const rates = [...new Set(results.map((result) => result.rate))];
  const [left, right, bar, gap, head] = [230, 70, 17, 34, 52];
  const [width, span] = [760, 760 - left - right];
  const [low, high] = [0.1, 200];
  const x = (value) =>
    (left + (span * Math.log(Math.max(low, value) / low)) / Math.log(high / low)).toFixed(1);
  let y = head;
  let body = "";
  for (const rate of rates) {
    body += `<text x="8" y="${y + 12}" class="b">${heading(rate)}</text>\n`;
    y += 22;
    for (const result of results.filter((result) => result.rate === rate)) {
      const end = x(result.cpu_percent);
      const name = named(result).replace(", each second", "");
      const long = Math.max(1, end - left).toFixed(1);
      body += `<text x="${left - 8}" y="${y + 12}" class="e">${name}</text>`;
      body += `<rect x="${left}" y="${y + 1}" width="${long}" height="${bar - 4}"`;
      body += ` class="${result.server}"/>`;
      body += `<text x="${Number(end) + 6}" y="${y + 12}">${digits(result.cpu_percent)}</text>\n`;
      y += bar;
    }
    y += gap - bar;
  }
  const lines = [0.1, 1, 10, 100].map(
    (value) =>
      `<path d="M${x(value)} ${head - 6}V${y - 8}"/>` +
      `<text x="${x(value)}" y="${y + 6}" class="m">${value} %</text>`,
  );
  const title = `Server CPU, percent of one core (logarithmic), ${clients} subscribers`;
  const box = `viewBox="0 0 ${width} ${y + 16}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${box} ${FONT} role="img">
<title>Server CPU at ${clients} subscribers, by transport and rate</title>
<style>${STYLE}</style>
<rect width="100%" height="100%" fill="#fff"/>
<text x="8" y="20" class="b" font-size="14">${title}</text>
${lines.join("\n")}
${body}</svg>
`;
}

const FONT = 'font-family="system-ui, sans-serif" font-size="12"';

const STYLE =
  "text{fill:#1b2026}.b{font-weight:600}.e{text-anchor:end}.m{text-anchor:middle;fill:#57616b}" +
  ".tidings{fill:#0b62b8}.plain{fill:#8a949d}path{stroke:#d9dee3}";
