import { watch } from "/demo/demo.js";

const source = watch(new EventSource("/events/demo/clock"));

source.addEventListener("tick", (event) => {
  const sent = Number(event.data);
  const late = Date.now() - sent;
  document.querySelector("#time").textContent = new Date(sent).toLocaleTimeString();
  document.querySelector("#late").textContent = `${late} ms after it was sent`;
});
