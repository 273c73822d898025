// One event stream, read with fetch, and its events as pages are sent them.

import { ANSWER_MS, PROBLEM_CHARS_MAX, RETRY_MS, RETRY_MS_MAX, RETRY_MS_MIN } from "./limits.js";
import { EventBlocks } from "./event_blocks.js";
import { backoff, pause } from "./waits.js";

/**
 * Reads one event stream, over as many connections as needed, and reports what happens: `open` with
 * the value of `Tidings-Resume`, `event`, `id`, `reset`, `error` (it will reconnect), `token` (with
 * the `reason` if the token was rejected, and it waits for `retoken`; else with the milliseconds
 * that are `left` to call it), and `closed` (for good). Of a `restart` it reports no more than
 * `open`.
 */
export function newStream(wish, tell) {
  const { url, withCredentials, session, last, from } = wish;
  /** The last id that the connection sent, which may be a publisher's own. */
  let lastId;
  /** The stream's last `retry`, in milliseconds, within its bounds. */
  let retry = RETRY_MS;
  const stop = new AbortController();
  let attempting;
  /** What came of this attempt: a `restart`, an open stream, one that was sent to its end. */
  let isAgain;
  let isOpen;
  let isWhole;
  /** Ends the wait for another token. */
  let retokened;
  /** What renews the running connection: `connection`, `handle`, and when its token `expires`. */
  let expiring;
  let place;

  const send = (path, request, accept = "application/json") =>
    fetch(url + path, {
      headers: { accept, ...(stream.token && { authorization: `Bearer ${stream.token}` }) },
      credentials: withCredentials ? "include" : undefined,
      cache: "no-store",
      ...request,
    });

  /** An event in an envelope, or one of the hub's own, or of a server that knows no envelopes. */
  const event = (type, data) => {
    const inner = parsed(data);
    if (type === "tidings.reset") {
      tell("reset", inner ?? { reason: "unknown" });
    } else if (type === "tidings.expiring" && inner?.handle && stream.token) {
      // Without a handle it is a session, which the page itself renews.
      expiring = { ...inner, expires: Date.now() + inner.in_ms };
      tell("token", { left: inner.in_ms });
    } else {
      // Those of the hub's own whose data name the topic that they are about.
      const topic = ["end", "tidings.removed"].includes(type) ? inner?.topic : undefined;
      const message =
        type === "message" && isEnvelope(inner)
          ? messageOf(inner)
          : { event: type, data, topic, id: lastId, cursor: lastId };
      stream.cursor = message.cursor;
      tell("event", message);
    }
  };

  const take = ({ type, data, id }) => {
    if (id !== undefined) stream.cursor = lastId = id;
    if (data !== undefined) event(type || "message", data);
    // The first block is `tidings.open`: an id, even before a reset.
    else if (id && type !== "tidings.open") tell("id", id);
    if (stream.cursor) place();
  };

  /** One connection, from the request to the end of its body, and how it ended. */
  const attempt = async () => {
    const own = (attempting = new AbortController());
    const late = setTimeout(() => own.abort(), ANSWER_MS);
    const blocks = new EventBlocks((field, value) => {
      if (field === "retry" && /^[0-9]+$/.test(value)) {
        retry = Math.min(Math.max(value, RETRY_MS_MIN), RETRY_MS_MAX);
      }
    });
    blocks.dispatch = take;
    lastId = stream.cursor;
    isAgain = isOpen = isWhole = false;
    try {
      const start = lastId ? { after: lastId } : { last, from };
      const terms = { ...start, envelope: "json" };
      const answer = await stream.events(stream.topics, terms, "text/event-stream", own.signal);
      const outcome = await outcomeOf(answer);
      if (outcome) return outcome;
      clearTimeout(late);
      isOpen = true;
      tell("open", answer.headers.get("tidings-resume"));
      for await (const text of textOf(answer.body)) blocks.push(text);
      isWhole = true;
    } catch (error) {
      // The stream would send the same event again.
      if (error instanceof RangeError) return ["closed", { reason: "event too large" }];
    } finally {
      clearTimeout(late);
      own.abort();
      expiring = undefined;
    }
    return ["error", { reason: "connection lost" }];
  };

  const run = async () => {
    // Failures since the stream was last open, and rejections of tokens among them.
    let failures = 0;
    let refusals = 0;
    let isEnd = false;
    while (!stop.signal.aborted) {
      const [what, detail, retryAfter = 0] = await attempt();
      if (isAgain) continue;
      if (isOpen) failures = refusals = 0;
      else failures += 1;
      // With the end of the last topic the hub asks for a day of patience, for the sake of clients
      // that would reconnect for ever. It answers 204 at once as well; a server that does not is
      // given its day.
      isEnd = isWhole && retry === RETRY_MS_MAX && !isEnd;
      if (isEnd) {
        retry = RETRY_MS;
        continue;
      }
      tell(what, detail);
      if (what === "closed") return;
      if (what === "token") {
        await new Promise((resolve) => (retokened = resolve));
        retokened = undefined;
        // A new token is tried at once; after several rejections in a row, more and more slowly.
        refusals += 1;
        if (refusals === 1) continue;
      }
      const wait = Math.max(backoff(retry, failures), retryAfter);
      await pause(Math.min(wait * (1 + Math.random() / 4), RETRY_MS_MAX), stop.signal);
    }
  };

  const stream = {
    token: wish.token,
    topics: wish.topics,
    /** The id to resume after: the hub's own where it is known. */
    cursor: wish.after,
    /** Resolves when there is a cursor. */
    placed: new Promise((resolve) => (place = resolve)),

    close() {
      tell = () => {};
      stop.abort();
      attempting.abort();
      place();
    },

    /** Continues with this token: on the running connection if the hub accepts it there. */
    async retoken(token) {
      stream.token = token;
      if (retokened) return retokened();
      const running = attempting;
      try {
        // The hub may not have asked for a token here: then this throws.
        const { connection, handle, expires } = expiring;
        // Where streams are all the connections that a browser allows, the request waits until one
        // of them ends: the first to give up begins again, and lets the requests of the others
        // pass.
        const wait = (expires - Date.now()) * (0.5 + Math.random() / 3);
        const signal = AbortSignal.timeout(Math.min(wait, ANSWER_MS));
        const order = { method: "PUT", body: JSON.stringify({ handle }), signal };
        const answer = await send(`/connections/${connection}/token`, order);
        if (answer.ok) return;
      } catch {
        // It gave no answer.
      }
      if (running === attempting) stream.restart(stream.topics);
    },

    /** Continues with these topics. */
    restart(topics) {
      stream.topics = topics;
      isAgain = true;
      attempting.abort();
    },

    /** Requests events: a page of history as JSON, or a stream. */
    events(topics, terms, accept, signal = stop.signal) {
      const query = new URLSearchParams(topics.map((topic) => ["topic", topic]));
      // A request that continues a state names it again.
      const all = { from: from === "state" ? from : undefined, session, ...terms };
      for (const [name, value] of Object.entries(all)) {
        if (value !== undefined) query.set(name, value);
      }
      return send(`/events?${query}`, { signal }, accept);
    },
  };

  if (stream.cursor) place();
  run();
  return stream;
}

/**
 * An event of the hub, from an envelope (`?envelope=json`) or a page of history, which have the
 * same fields. `cursor` is the id to resume after: the hub's own, because a publisher's id can
 * stand on several topics. `number` is that in it, greater for later events.
 */
export function messageOf(envelope) {
  const cursor = envelope.position ?? envelope.id;
  return { ...envelope, cursor, number: numberIn(cursor) };
}

/** The number in an id that the hub made. */
export function numberIn(id) {
  return Number(/:([0-9]+)$/.exec(id)?.[1]);
}

/** Whether this is an envelope: a hub may ignore `envelope`. */
export function isEnvelope(inner) {
  return ["id", "topic", "event", "data"].every((name) => typeof inner?.[name] === "string");
}

/** The value of a JSON text; `undefined` if it is none. */
export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The text of a body, in pieces as they arrive. */
async function* textOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

/**
 * The consequence of a response: none if it is a stream, else reconnect, perhaps not before
 * `Retry-After`, with another token, or never.
 */
async function outcomeOf({ status, headers, redirected, url, body }) {
  const contentType = headers.get("content-type") ?? "";
  if (status === 204) return ["closed", { reason: "ended" }];
  if (status === 200) {
    if (/^text\/event-stream\s*([;,]|$)/i.test(contentType)) return undefined;
    // A server that answers with a page, such as a login page, would do so again. With the final
    // URL, if the request was redirected; its query may contain secrets.
    const redirectedTo = redirected ? url.split(/[?#]/)[0] : undefined;
    return ["closed", { reason: "not an event stream", status, contentType, redirectedTo }];
  }
  // Any other status would be the same for the same request.
  if ([408, 425, 429].includes(status) || status >= 500) {
    return ["error", { reason: "connection lost", status }, retryAfter(headers.get("retry-after"))];
  }
  const isJson = /^application\/([\w.-]+\+)?json\b/i.test(contentType);
  const detail = { reason: "refused", status, problem: isJson ? await problemOf(body) : undefined };
  return [status === 401 ? "token" : "closed", detail];
}

/** The hub's problem details (RFC 9457), if this is JSON. */
async function problemOf(body) {
  let text = "";
  for await (const piece of textOf(body)) {
    text += piece;
    if (text.length > PROBLEM_CHARS_MAX) return undefined;
  }
  return parsed(text);
}

/** `Retry-After` in milliseconds: seconds, or a date; 0 without one. */
function retryAfter(text) {
  const ms = /^[0-9]+$/.test(text) ? text * 1000 : Date.parse(text) - Date.now();
  return ms > 0 ? ms : 0;
}
