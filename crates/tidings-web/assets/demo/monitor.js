import { Chart, bytes } from "/chart.js";
import { watch } from "/demo/demo.js";

const source = watch(new EventSource("/events/demo/monitor?last=120"));
const percent = (value) => `${value.toFixed(0)} %`;
const figures = {
  cpu: line("cpu", percent),
  load: line("load", (value) => value.toFixed(2)),
  memory: line("memory", bytes),
  hub: line("hub", bytes),
};

source.onmessage = (event) => {
  const now = JSON.parse(event.data);
  document.querySelector("#host").textContent = now.host;
  figures.cpu(now.cpu_percent);
  figures.load(now.load);
  figures.memory(now.memory_used);
  figures.hub(now.hub_memory);
};

function line(name, format) {
  const chart = new Chart(document.querySelector(`#${name}-chart`), { format });
  return (value) => {
    document.querySelector(`#${name}`).textContent = format(value);
    chart.push(value);
  };
}
