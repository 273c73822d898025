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
  for (const name of Object.keys(figures)) figures[name].clear();
  listen({ last: 120 });
}

function listen(start) {
  const source = connect("", { topics: "demo/monitor", multiplex: true, ...start });
  watch(source, { begin, listen });

  source.onmessage = (event) => {
    const now = JSON.parse(event.data);
    document.querySelector("#host").textContent = now.host;
    figures.cpu.add(now.cpu_percent);
    figures.load.add(now.load);
    figures.memory.add(now.memory_used);
    figures.hub.add(now.hub_memory);
  };
}

function line(name, format) {
  const chart = new Chart(document.querySelector(`#${name}-chart`), { format, since: "2 min ago" });
  return {
    clear: () => chart.clear(),
    add(value) {
      document.querySelector(`#${name}`).textContent = format(value);
      chart.push(value);
    },
  };
}
