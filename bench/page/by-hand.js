// The same by hand, as it is usually written: the values in a Redis hash, the changes over its
// publish and subscribe, and a small server that gives a page both.

import { fork } from "node:child_process";
import { once } from "node:events";
import { createClient } from "redis";

export const [HASH, CHANNEL] = ["keys", "changes"];

export async function startByHand(port) {
  const redis = createClient({ socket: { host: "127.0.0.1", port } });
  await redis.connect();
  const server = fork(new URL("./server.js", import.meta.url), [`${port}`]);
  const [listens] = await once(server, "message");
  // Between the answer to the first request and the second one, changes go by unseen.
  const script = `
    const answer = await fetch("/state");
    for (const [key, value] of Object.entries(await answer.json())) show(key, value);
    const source = new EventSource("/changes");
    source.onmessage = ({ data }) => show(...JSON.parse(data));
    source.onopen = () => isReady();
  `;
  return {
    url: `http://127.0.0.1:${listens}`,
    script,
    async publish(entries) {
      const batch = redis.multi();
      for (const [key, value] of entries) {
        batch.hSet(HASH, key, value);
        batch.publish(CHANNEL, JSON.stringify([key, value]));
      }
      await batch.execAsPipeline();
    },
    async close() {
      server.kill();
      await redis.close();
    },
  };
}
