// The latest event of each demo. All previews share one connection to the hub.

import "/demo/demo.js";
import { connect } from "/tidings.js";

/** How many characters of an answer are shown. */
const WORDS_MAX = 40;

let answer = "";

/** By demo: its topics, and an event as a few words. */
const PREVIEWS = {
  counter: ["demo/counter", ({ data }) => data],
  clock: ["demo/clock", ({ data }) => new Date(Number(data)).toLocaleTimeString()],
  news: ["demo/news", ({ data }) => JSON.parse(data).title],
  prices: ["demo/prices/*", ({ data }) => price(JSON.parse(data))],
  scores: ["demo/scores", ({ data }) => result(JSON.parse(data))],
  chat: ["demo/chat", ({ data }) => line(JSON.parse(data))],
  job: ["demo/jobs/*", ({ type, data }) => (type === "progress" ? step(JSON.parse(data)) : "done")],
  monitor: ["demo/monitor", ({ data }) => `processor ${JSON.parse(data).cpu_percent.toFixed(0)} %`],
  notifications: ["demo/notifications", ({ data }) => JSON.parse(data).text],
  assistant: ["demo/answers/*", ({ type, data }) => (type === "word" ? word(data) : answer)],
};

for (const name of Object.keys(PREVIEWS)) begin(name);

function begin(name) {
  const [topics, words] = PREVIEWS[name];
  const source = connect("", { topics, last: 1, multiplex: true });
  source.onevent = (event) => {
    document.getElementById(name).textContent = words(event);
  };
  // Each preview is only its latest event: after a reset it is asked for again.
  source.onreset = () => {
    source.close();
    begin(name);
  };
}

const price = ({ symbol, price }) => `${symbol} ${price.toFixed(2)}`;
const result = ({ home, away, score }) => `${home} ${score.join(" : ")} ${away}`;
const line = ({ name, text }) => `${name}: ${text}`;
const step = ({ step, percent }) => `${step}, ${percent} %`;

function word(next) {
  answer = (answer + next).slice(-WORDS_MAX);
  return answer;
}
