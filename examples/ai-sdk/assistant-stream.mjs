// A store for the resumable streams of `assistant-stream`, with the hub in place of Redis:
// npm install assistant-stream eventsource-parser, and
//
//   createResumableStreamContext({ store: hubStore("http://127.0.0.1:3000") })

import { setTimeout } from "node:timers/promises";
import { EventSourceParserStream } from "eventsource-parser/stream";

export function hubStore(hub) {
  const address = (id, query = "") => `${hub}/events/streams/${encodeURIComponent(id)}${query}`;

  async function post(id, query, body, headers = {}, method = "POST") {
    const answer = await fetch(address(id, query), { method, body, headers });
    if (!answer.ok && ![409, 412].includes(answer.status)) throw new Error(await answer.text());
    return answer.status;
  }

  return {
    /** The first event of a topic elects: whoever publishes it is the producer. */
    async acquire(id) {
      const status = await post(id, "?event=begin", "begin", { "if-none-match": "*" });
      return status === 412 || status === 409 ? "consumer" : "producer";
    },

    async append(id, chunk) {
      const status = await post(id, "?event=chunk", Buffer.from(chunk).toString("base64"));
      if (status !== 200) throw new Error(`the stream ${id} has ended`);
    },

    async finalize(id, status, error = "") {
      return (await post(id, `?event=${status}`, error || status, {}, "DELETE")) === 200;
    },

    async *read(id, cursor, signal) {
      for (let from = cursor || "start"; ; await setTimeout(500)) {
        try {
          const query = `?plain&${new URLSearchParams({ from })}`;
          const { body, status } = await fetch(address(id, query), { signal });
          if (status !== 200) return;
          const text = body.pipeThrough(new TextDecoderStream());
          for await (const event of text.pipeThrough(new EventSourceParserStream())) {
            from = event.id;
            if (event.event === "error") {
              throw Object.assign(new Error(event.data), { final: true });
            }
            if (event.event === "chunk") {
              yield { cursor: from, chunk: new Uint8Array(Buffer.from(event.data, "base64")) };
            }
          }
          return; // a clean end is the end; a cut throws
        } catch (error) {
          if (signal.aborted) return;
          if (error.final) throw error;
        }
      }
    },

    async status(id) {
      const headers = { accept: "application/json" };
      const answer = await fetch(address(id, "?last=1"), { headers });
      const last = answer.status === 200 ? (await answer.json()).events.at(-1)?.event : undefined;
      if (!last) return "missing";
      return last === "done" || last === "error" ? last : "streaming";
    },

    /** Ends the stream; its events go when the hub's retention says so. */
    async delete(id) {
      if ((await this.status(id)) === "streaming") await this.finalize(id, "error", "deleted");
    },
  };
}
