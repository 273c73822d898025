// A chat whose answers survive a reload, a second tab and a lost producer, with nothing to store:
// npm install ai. In a route: `return answer(chatId, new AbortController(), execute)`, and in the
// page, where 204 tells `useChat` that nothing runs:
//
//   useChat({ id, resume: true, transport: new DefaultChatTransport({
//     prepareReconnectToStreamRequest: ({ id }) =>
//       ({ api: `${HUB}/events/chats/${id}?from=start&if=open`, credentials: "include" }) }) })

import { createUIMessageStream, createUIMessageStreamResponse } from "ai";

const HUB = "http://127.0.0.1:3000";

/** The reason that viewers get if this process is gone. */
const WILL = JSON.stringify({ type: "error", errorText: "the answer broke off" });

/**
 * The response with what `execute` writes, which the hub keeps as the run `id`. `stop` is aborted
 * when a viewer has stopped the run, and when there is such a run already.
 */
export function answer(id, stop, execute) {
  return createUIMessageStreamResponse({
    stream: createUIMessageStream({ execute }),
    consumeSseStream: ({ stream }) => keep(id, stop, stream),
  });
}

async function keep(id, stop, stream) {
  const query = new URLSearchParams({ will: WILL, lost: "5s" });
  try {
    const answer = await fetch(`${HUB}/events/chats/${id}?end&${query}`, {
      method: "POST",
      duplex: "half",
      body: stream.pipeThrough(new TextEncoderStream()),
      headers: { "content-type": "text/event-stream", "if-none-match": "*" },
    });
    if (!answer.ok) stop.abort(answer.status); // 409: stopped; 412: there is one
  } catch (error) {
    stop.abort(error);
  }
}

/** Stops a run, from wherever the user is: all viewers see it end here. */
export function stopRun(id) {
  return fetch(`${HUB}/events/chats/${id}`, { method: "DELETE", body: '{"type":"abort"}' });
}
