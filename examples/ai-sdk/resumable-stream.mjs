// The context of `resumable-stream`, with the hub in place of Redis: the same four functions.
// npm install eventsource-parser

import { EventSourceParserStream } from "eventsource-parser/stream";

export function createHubContext(hub) {
  const address = (id, query) => `${hub}/events/resumable/${encodeURIComponent(id)}${query}`;

  /** The text of a stream from its beginning, live until it ends. */
  async function read(id, skip = 0) {
    const { body } = await fetch(address(id, "?from=start&plain"));
    const text = body.pipeThrough(new TextDecoderStream());
    return text.pipeThrough(new EventSourceParserStream()).pipeThrough(
      new TransformStream({
        transform({ event, data }, out) {
          if (event === "begin") return;
          const piece = JSON.parse(data);
          if (skip < piece.length) out.enqueue(piece.slice(skip));
          skip = Math.max(0, skip - piece.length);
        },
      }),
    );
  }

  /** The first event of a topic elects. */
  async function begin(id) {
    const headers = { "if-none-match": "*" };
    const answer = await fetch(address(id, "?event=begin"), { method: "POST", body: "-", headers });
    return answer.status === 200;
  }

  function produce(id, stream) {
    const lines = new TransformStream({
      transform: (piece, out) =>
        out.enqueue(`${JSON.stringify({ data: JSON.stringify(piece) })}\n`),
    });
    // Should this process be gone, viewers are not left waiting.
    const will = new URLSearchParams({ will: '""', lost: "10s" });
    return fetch(address(id, `?end&${will}`), {
      method: "POST",
      duplex: "half",
      body: stream.pipeThrough(lines).pipeThrough(new TextEncoderStream()),
      headers: { "content-type": "application/x-ndjson" },
    });
  }

  const context = {
    async hasExistingStream(id) {
      const headers = { accept: "application/json" };
      const page = await fetch(address(id, "?last=1"), { headers });
      if (page.status === 200 && !(await page.json()).events.length) return null;
      const stop = new AbortController();
      const { status } = await fetch(address(id, "?from=now&if=open"), { signal: stop.signal });
      stop.abort();
      return status === 204 ? "DONE" : true;
    },
    async resumeExistingStream(id, skip) {
      const state = await context.hasExistingStream(id);
      if (state === null) return undefined;
      return state === "DONE" ? null : read(id, skip);
    },
    async createNewResumableStream(id, makeStream, skip) {
      return (await begin(id)) ? started(id, makeStream, skip) : null;
    },
    async resumableStream(id, makeStream, skip) {
      if (await begin(id)) return started(id, makeStream, skip);
      return (await context.hasExistingStream(id)) === "DONE" ? null : read(id, skip);
    },
  };

  function started(id, makeStream, skip) {
    produce(id, makeStream()).catch(() => {}); // the will tells the viewers
    return read(id, skip);
  }

  return context;
}
