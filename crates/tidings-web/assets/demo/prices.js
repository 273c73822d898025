import { Chart } from "/chart.js";
import { make, watch } from "/demo/demo.js";

const tiles = new Map();
const source = watch(new EventSource("/events?topic=demo/prices/*&last=480"));

source.onmessage = (event) => {
  const { symbol, price } = JSON.parse(event.data);
  if (!tiles.has(symbol)) tiles.set(symbol, tile(symbol));
  tiles.get(symbol)(price);
};

function tile(symbol) {
  const now = make("output");
  const canvas = make("canvas", { ariaLabel: `${symbol} over one minute` });
  const caption = make("figcaption", {}, make("b", { textContent: symbol }), now);
  document.querySelector("#prices").append(make("figure", { className: "card" }, caption, canvas));
  const chart = new Chart(canvas, { zero: false, format: (value) => value.toFixed(2) });
  let before = 0;
  return (price) => {
    now.textContent = price.toFixed(2);
    now.className = price < before ? "down" : "up";
    before = price;
    chart.push(price);
  };
}
