// One event of each demo, and how to publish it without Rust.

/** Nobody else's job or question has this id. */
const MINE = Math.random().toString(36).slice(2, 8);

const HERE = "Run it in a terminal: the event appears on this page.";

/** A topic, the event's type if it has one, its data, and what follows. */
export const EXAMPLES = {
  counter: { topic: "demo/counter", data: "1000", then: HERE },
  clock: { topic: "demo/clock", type: "tick", data: "0", then: HERE },
  news: {
    topic: "demo/news",
    data: { section: "Town", title: "A reader publishes a headline" },
    then: HERE,
  },
  prices: { topic: "demo/prices/MINE", data: { symbol: "MINE", price: 42.5 }, then: HERE },
  scores: {
    topic: "demo/scores",
    type: "goal",
    data: { home: "Visitors", away: "Locals", score: [1, 0], minute: 7 },
    then: HERE,
  },
  chat: { topic: "demo/chat", data: { name: "Terminal", text: "good evening" }, then: HERE },
  job: {
    topic: "demo/jobs",
    data: { id: MINE },
    then: `Run it in a terminal, then open /demo/job#${MINE}`,
  },
  monitor: {
    topic: "demo/monitor",
    data: {
      host: "elsewhere",
      cpu_percent: 50,
      load: 1.5,
      memory_total: 8e9,
      memory_used: 2e9,
      hub_memory: 3e7,
    },
    then: HERE,
  },
  notifications: {
    topic: "demo/notifications",
    type: "alert",
    data: { text: "Somebody has found the terminal" },
    then: HERE,
  },
  assistant: {
    topic: "demo/questions",
    data: { id: MINE, text: "Why not a WebSocket?" },
    then: `Run it in a terminal, then open /demo/assistant#${MINE}`,
  },
};

const address = ({ topic, type }, origin) =>
  `${origin}/events/${topic}${type ? `?event=${type}` : ""}`;

const body = ({ data }) => (typeof data === "string" ? data : JSON.stringify(data));

/** The programs. No data of an example has a quotation mark of the languages' own in it. */
export const LANGUAGES = {
  curl: (example, origin) => `curl -d '${body(example)}' '${address(example, origin)}'`,

  Python: (example, origin) => `from urllib.request import urlopen

url = "${address(example, origin)}"
event = '${body(example)}'
print(urlopen(url, event.encode()).read().decode())`,

  Node: (example, origin) => `const url = "${address(example, origin)}";
const event = '${body(example)}';
const answer = await fetch(url, { method: "POST", body: event });
console.log(await answer.text());`,
};
