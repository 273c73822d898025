import { Chart } from "/chart.js";
import { make, watch } from "/demo/demo.js";
import { connect } from "/tidings.js";

const tiles = new Map();
begin();

function begin() {
  tiles.clear();
  document.querySelector("#prices").replaceChildren();
  listen({ last: 480 });
}

function listen(start) {
  const source = connect("", { topics: "demo/prices/*", multiplex: true, ...start });
  watch(source, { begin, listen });

  source.onmessage = (event) => {
    const symbol = event.topic.split("/").at(-1);
    if (!tiles.has(symbol)) tiles.set(symbol, tile(symbol));
    tiles.get(symbol)(JSON.parse(event.data).price);
  };
}

function tile(symbol) {
  const now = make("output");
  const canvas = make("canvas", { ariaLabel: `${symbol} over one minute` });
  const caption = make("figcaption", {}, make("b", { textContent: symbol }), now);
  document.querySelector("#prices").append(make("figure", { className: "card" }, caption, canvas));
  const format = (value) => value.toFixed(2);
  const chart = new Chart(canvas, { zero: false, format, since: "1 min ago" });
  let before = 0;
  return (price) => {
    now.textContent = format(price);
    now.className = price < before ? "down" : "up";
    before = price;
    chart.push(price);
  };
}
