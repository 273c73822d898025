// node ai-producer.mjs ID WORDS: generates that many words, one every 20 ms, as a route would.

import { setTimeout } from "node:timers/promises";
import { answer } from "./route.mjs";

const [id, words] = process.argv.slice(2);
const stop = new AbortController();
stop.signal.addEventListener("abort", () => console.log("stopped", stop.signal.reason?.cause?.message ?? stop.signal.reason));
const response = answer(id, stop, async ({ writer }) => {
  writer.write({ type: "start", messageId: `m-${id}` });
  writer.write({ type: "text-start", id: "t" });
  console.log("writing");
  for (let n = 1; n <= words && !stop.signal.aborted; n += 1) {
    writer.write({ type: "text-delta", id: "t", delta: `${n} ` });
    await setTimeout(20);
  }
  writer.write({ type: "text-end", id: "t" });
});
await response.text();
console.log("written");
