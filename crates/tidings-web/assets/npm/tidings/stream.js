// One event stream, read with fetch.

import { ANSWER_MS, PROBLEM_CHARS_MAX, RETRY_MS, RETRY_MS_MAX, RETRY_MS_MIN } from "./limits.js";
import { EventBlocks } from "./event_blocks.js";
import { isEnvelope, messageOf, parsed } from "./messages.js";
import { backoff, pause } from "./waits.js";

/** Types of a hub's own events. The first block is `tidings.open`: an id, even before a reset. */
const OPEN = "tidings.open";
const RESET = "tidings.reset";
const EXPIRING = "tidings.expiring";

/** Those of them whose data name the topic that they are about. */
const ABOUT_TOPIC = ["end", "tidings.removed"];

/** How an attempt ends that is made again. */
const LOST = ["error", { reason: "connection lost" }];

/** How one ends that is not. */
const closed = (reason, more) => ["closed", { reason, ...more }];

/**
 * Reads one event stream, over as many connections as needed, and reports what happens: `open` with
 * the value of `Tidings-Resume`, `event`, `id`, `reset`, `error` (it will reconnect), `token` (the
 * token was rejected, it waits for `retoken`), `expiring` with the milliseconds that are `left`
 * to call `retoken`, and `closed` (for good). Of a `restart` it reports no more than `open`.
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

  const send = (path, { headers, ...request }) =>
    fetch(url + path, {
      headers: { ...headers, ...(stream.token && { authorization: `Bearer ${stream.token}` }) },
      credentials: withCredentials ? "include" : "same-origin",
      cache: "no-store",
      ...request,
    });

  /** Sends the hub the token for the running connection. */
  const renew = async ({ connection, handle, expires }) => {
    // Where streams are all the connections that a browser allows, the request waits until one
    // of them ends: the first to give up begins again, and lets the requests of the others pass.
    const wait = (expires - Date.now()) * (0.5 + Math.random() / 3);
    const signal = AbortSignal.timeout(Math.min(wait, ANSWER_MS));
    const body = JSON.stringify({ handle });
    return send(`/connections/${connection}/token`, { signal, method: "PUT", body });
  };

  /** An event in an envelope, or one of the hub's own, or of a server that knows no envelopes. */
  const event = (type, data) => {
    const inner = parsed(data);
    if (type === "message" && isEnvelope(inner)) {
      const message = messageOf(inner);
      stream.cursor = message.cursor;
      tell("event", message);
    } else if (type === RESET) {
      tell("reset", inner ?? { reason: "unknown" });
    } else if (type === EXPIRING && inner?.handle && stream.token) {
      // Without a handle it is a session, which the page itself renews.
      expiring = { ...inner, expires: Date.now() + inner.in_ms };
      tell("expiring", { left: inner.in_ms });
    } else {
      const topic = ABOUT_TOPIC.includes(type) ? inner?.topic : undefined;
      stream.cursor = lastId;
      tell("event", { event: type, data, topic, id: lastId, cursor: lastId });
    }
  };

  const take = ({ type, data, id }) => {
    if (id !== undefined) stream.cursor = lastId = id;
    if (data !== undefined) event(type || "message", data);
    else if (id && type !== OPEN) tell("id", id);
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
      if (!isStream(answer)) return await outcomeOf(answer);
      clearTimeout(late);
      isOpen = true;
      tell("open", answer.headers.get("tidings-resume"));
      for await (const text of textOf(answer.body)) blocks.push(text);
      isWhole = true;
    } catch (error) {
      // The stream would send the same event again.
      if (error instanceof RangeError) return closed("event too large");
    } finally {
      clearTimeout(late);
      own.abort();
      expiring = undefined;
    }
    return LOST;
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
      const answer = expiring && (await renew(expiring).catch(() => {}));
      if (!answer?.ok && running === attempting) stream.restart(stream.topics);
    },

    /** Continues with these topics. */
    restart(topics) {
      stream.topics = topics;
      isAgain = true;
      attempting.abort();
    },

    /** Requests events: a page of history as JSON, or a stream. */
    events(topics, terms, accept = "application/json", signal = stop.signal) {
      const query = new URLSearchParams(topics.map((topic) => ["topic", topic]));
      // A request that continues a state names it again.
      const all = { from: from === "state" ? from : undefined, session, ...terms };
      for (const [name, value] of Object.entries(all)) {
        if (value !== undefined) query.set(name, value);
      }
      return send(`/events?${query}`, { headers: { accept }, signal });
    },
  };

  if (stream.cursor) place();
  run();
  return stream;
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

function contentType({ headers }) {
  return headers.get("content-type") ?? "";
}

function isStream(answer) {
  return answer.status === 200 && /^text\/event-stream\s*([;,]|$)/i.test(contentType(answer));
}

/**
 * The consequence of a response that is not a stream: reconnect, perhaps not before `Retry-After`,
 * with another token, or never.
 */
async function outcomeOf(answer) {
  const { status, redirected, url } = answer;
  if (status === 204) return closed("ended");
  if (status === 200) {
    // A server that answers with a page, such as a login page, would do so again. With the final
    // URL, if the request was redirected; its query may contain secrets.
    const detail = { status, contentType: contentType(answer) };
    if (redirected) detail.redirectedTo = url.split(/[?#]/)[0];
    return closed("not an event stream", detail);
  }
  // Any other status would be the same for the same request.
  if ([408, 425, 429].includes(status) || status >= 500) {
    return ["error", { ...LOST[1], status }, retryAfter(answer)];
  }
  const [what, detail] = closed("refused", { status, problem: await problemOf(answer) });
  return [status === 401 ? "token" : what, detail];
}

/** The hub's problem details (RFC 9457), if the response has any. */
async function problemOf(answer) {
  if (!/^application\/([\w.-]+\+)?json\b/i.test(contentType(answer))) return undefined;
  let text = "";
  for await (const piece of textOf(answer.body)) {
    text += piece;
    if (text.length > PROBLEM_CHARS_MAX) return undefined;
  }
  return parsed(text);
}

/** `Retry-After` in milliseconds: seconds, or a date; 0 without one. */
function retryAfter({ headers }) {
  const text = headers.get("retry-after");
  const ms = /^[0-9]+$/.test(text) ? text * 1000 : Date.parse(text) - Date.now();
  return ms > 0 ? ms : 0;
}
