import { Chart, bytes } from "/chart.js";
import { watch } from "/demo/demo.js";
import { connect } from "/tidings.js";

const percent = (value) => `${value.toFixed(0)} %`;
const figures = {
  cpu: line("cpu", percent),
  load: line("load", (value) => value.toFixed(2)),
  memory: line("memory", bytes),
  hub: line("hub", bytes),
};

begin();

function begin() {
  const source = watch(connect("", { topics: "demo/monitor", last: 120, multiplex: true }), begin);

  source.onmessage = (event) => {
    const now = JSON.parse(event.data);
    document.querySelector("#host").textContent = now.host;
    figures.cpu(now.cpu_percent);
    figures.load(now.load);
    figures.memory(now.memory_used);
    figures.hub(now.hub_memory);
  };
}

function line(name, format) {
  const chart = new Chart(document.querySelector(`#${name}-chart`), { format });
  return (value) => {
    document.querySelector(`#${name}`).textContent = format(value);
    chart.push(value);
  };
}
