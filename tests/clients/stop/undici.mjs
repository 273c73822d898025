// node undici.mjs ADDRESS [h2]: streams into the run, and prints the status of its answer.

import { Agent, fetch } from "undici";

const [address, h2] = process.argv.slice(2);
const line = new TextEncoder().encode('{"data":"token"}\n');
const body = new ReadableStream({
  async pull(controller) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    controller.enqueue(line);
  },
});
const dispatcher = new Agent({ allowH2: h2 === "h2", connect: { rejectUnauthorized: false } });
const headers = { "content-type": "application/x-ndjson" };
const init = { method: "POST", duplex: "half", body, headers, dispatcher };
console.log((await fetch(address, init)).status);
process.exit();
