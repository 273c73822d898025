import { watch } from "/demo/demo.js";

const source = watch(new EventSource("/events/demo/counter?last=1"));

source.onmessage = (event) => {
  document.querySelector("#count").textContent = event.data;
};
