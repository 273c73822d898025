// tidings.js: one connection to a Tidings hub, shared by all tabs of an origin.
//
//     import { connect } from "/tidings.js";
//     const news = connect("", { topics: ["news/**"] });
//     news.addEventListener("message", (event) => console.log(event.data));
//
// Three parts, in this order. A `Connection` is what a page holds. An `Exchange` is what all pages
// share: it lives in a SharedWorker (else in a Worker, else in the page) and keeps one `Feed` for
// each set of topics. A feed reads one event stream: with the browser's EventSource, or with fetch
// where a token must go into a header, which EventSource cannot do.
//
// The same file is the page's module and the worker's script, so that there is one file to serve
// and to copy. Page and worker talk in small objects: `do` says what the page wants, `is` what the
// exchange has to tell.

const NAME = "tidings/1";

/** Longest silence of the worker before it is taken for dead, in milliseconds. */
const PATIENCE_MS = 12_000;

/** A page that is silent for so long is gone: background tabs run timers once a minute. */
const MEMBER_SILENCE_MS = 200_000;

/** Ids a page remembers, to recognise what it is sent again when a worker died under it. */
const RECENT_IDS = 256;

/** A worker that has not said so by now does not start, in milliseconds. */
const GREETING_MS = 4_000;

/** A stream that has not begun with a reset by now goes on where it was, in milliseconds. */
const RESET_MS = 300;

/** Longest wait before a stream is asked for again, in milliseconds. */
const WAIT_MAX_MS = 30_000;

/** Events of history read at once. */
const PAGE_EVENTS = 1000;

/** Opens a connection to the hub at `url`; see tidings.d.ts for the options. */
export function connect(url = "", options = {}) {
  return new Connection(
    new URL(url || "/", globalThis.location?.href).href.replace(/\/+$/, ""),
    options,
  );
}

// The page's side.

export class Connection extends EventTarget {
  #url;
  #options;
  #port;
  /** Where the stream may still be read, the best first. */
  #hosts;
  /** Part of the worker's name: a dead one must not be found again. */
  #generation = 1;
  #types = new Set(["message"]);
  /** The last ids that arrived, and whether what comes may be a repeat of these. */
  #recent = [];
  #doubtful = false;
  /** When the worker last said something. */
  #heard = 0;
  #timer;
  #leave;
  #back;

  constructor(url, options) {
    super();
    this.#url = url;
    this.#options = { topics: [], withCredentials: false, patience: PATIENCE_MS, ...options };
    this.#hosts = ["shared", "dedicated", "page"];
    this.#hosts.splice(0, Math.max(0, this.#hosts.indexOf(options.worker)));
    this.readyState = EventSource.CONNECTING;
    this.lastEventId = options.after ?? "";
    /** Where the stream is read: "shared", "dedicated" or "page". */
    this.host = undefined;
    this.#leave = () => this.#port?.postMessage({ do: "leave" });
    globalThis.addEventListener?.("pagehide", this.#leave);
    // A page that comes back from the back/forward cache had left.
    this.#back = (event) =>
      event.persisted && this.readyState !== EventSource.CLOSED && this.#join();
    globalThis.addEventListener?.("pageshow", this.#back);
    this.#start();
  }

  get url() {
    return this.#url;
  }

  addEventListener(type, ...rest) {
    super.addEventListener(type, ...rest);
    if (!this.#types.has(type) && !LIFE.has(type)) {
      this.#types.add(type);
      this.#port?.postMessage({ do: "types", types: [type] });
    }
  }

  /** Ends this connection; the shared stream ends with the last one that uses it. */
  close() {
    this.#end({ reason: "closed here" });
  }

  async #start() {
    while (this.#hosts.length && this.readyState !== EventSource.CLOSED) {
      const host = this.#hosts[0];
      const port = await HOSTS[host](`${NAME}.${this.#generation}`).catch(() => undefined);
      if (port) {
        this.host = host;
        this.#use(port);
        return;
      }
      this.#hosts.shift();
    }
  }

  #use(port) {
    if (this.readyState === EventSource.CLOSED) return;
    this.#port = port;
    this.#heard = Date.now();
    port.onmessage = ({ data }) => this.#hear(data);
    this.#join();
    clearInterval(this.#timer);
    let ticked = Date.now();
    const every = this.#options.patience / 3;
    this.#timer = setInterval(() => {
      const now = Date.now();
      // A timer that was late says that this page slept, not that the worker did.
      if (now - ticked > 2 * every) this.#heard = now;
      ticked = now;
      if (now - this.#heard > this.#options.patience) this.#revive();
      else port.postMessage({ do: "ping" });
    }, every);
  }

  async #join() {
    const { token, topics, withCredentials, last } = this.#options;
    this.#port.postMessage({
      do: "join",
      url: this.#url,
      topics: [topics].flat(),
      withCredentials,
      token: typeof token === "function" ? await token() : token,
      types: [...this.#types],
      after: this.lastEventId,
      last: this.lastEventId ? undefined : last,
    });
  }

  /** The worker is dead: another one goes on after the last event that arrived here. */
  #revive() {
    this.#port.close();
    this.#port = undefined;
    clearInterval(this.#timer);
    this.#generation += 1;
    this.#doubtful = true;
    this.readyState = EventSource.CONNECTING;
    this.#tell("error", { reason: "worker lost" });
    dedicated = undefined;
    this.#start();
  }

  async #hear(message) {
    this.#heard = Date.now();
    switch (message.is) {
      case "pong":
        // It took us for gone while we slept.
        if (!message.known) this.#join();
        break;
      case "open":
        this.readyState = EventSource.OPEN;
        this.#tell("open");
        break;
      case "error":
        this.readyState = EventSource.CONNECTING;
        this.#tell("error", message.detail);
        break;
      case "token": {
        const { token } = this.#options;
        const fresh = typeof token === "function" ? await token(message.detail) : undefined;
        this.#port?.postMessage({ do: "token", token: fresh });
        break;
      }
      case "resumed":
        this.#tell("resumed", { lastEventId: this.lastEventId });
        break;
      case "reset":
        this.#doubtful = false;
        this.#tell("reset", message.detail);
        break;
      case "closed":
        this.#end(message.detail);
        break;
      case "event":
        this.#deliver(message);
    }
  }

  #deliver({ type, data, lastEventId, origin }) {
    if (lastEventId) {
      if (this.#doubtful && this.#recent.includes(lastEventId)) return;
      this.#doubtful = false;
      this.lastEventId = lastEventId;
      this.#recent.push(lastEventId);
      if (this.#recent.length > RECENT_IDS) this.#recent.shift();
    }
    this.dispatchEvent(new MessageEvent(type, { data, lastEventId, origin }));
  }

  #end(detail) {
    if (this.readyState === EventSource.CLOSED) return;
    this.readyState = EventSource.CLOSED;
    clearInterval(this.#timer);
    this.#leave();
    this.#port?.close();
    globalThis.removeEventListener?.("pagehide", this.#leave);
    globalThis.removeEventListener?.("pageshow", this.#back);
    this.#tell("closed", detail);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Types that tell of the connection itself. */
const LIFE = new Set(["open", "resumed", "reset", "closed", "error"]);

/**
 * How to reach an exchange: each gives a port, or fails. The script's URL is written out where a
 * worker is made: by these very words bundlers find it.
 */
const HOSTS = {
  async shared(name) {
    const worker = new SharedWorker(new URL("./tidings.js", import.meta.url), {
      type: "module",
      name,
    });
    worker.port.start();
    await greeting(worker, worker.port);
    return worker.port;
  },
  async dedicated(name) {
    dedicated ??= startWorker(name);
    const worker = await dedicated;
    const { port1, port2 } = new MessageChannel();
    worker.postMessage({ do: "port" }, [port2]);
    return port1;
  },
  async page() {
    const { port1, port2 } = new MessageChannel();
    local ??= new Exchange();
    local.admit(port2);
    return port1;
  },
};

let dedicated;
let local;

async function startWorker(name) {
  const script = new URL("./tidings.js", import.meta.url);
  let worker;
  try {
    worker = new Worker(new URL("./tidings.js", import.meta.url), { type: "module", name });
  } catch {
    // A script of another origin is no worker's script, but may be imported by one.
    const text = `import ${JSON.stringify(script.href)};`;
    const blob = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    worker = new Worker(blob, { type: "module", name });
  }
  await greeting(worker, worker);
  return worker;
}

/** Waits until the worker says that it is there. */
function greeting(worker, port) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error("no answer")), GREETING_MS);
    worker.onerror = (event) => {
      event.preventDefault?.();
      clearTimeout(late);
      reject(new Error("it does not start"));
    };
    port.onmessage = () => {
      clearTimeout(late);
      resolve();
    };
  });
}

// The shared side.

class Exchange {
  feeds = new Map();
  members = new Set();

  constructor() {
    setInterval(() => {
      for (const member of this.members) {
        if (Date.now() - member.heard > MEMBER_SILENCE_MS) this.#part(member);
      }
    }, MEMBER_SILENCE_MS / 4);
  }

  /** Takes what one page's port says from now on. */
  admit(port) {
    const member = { port, feed: undefined, types: new Set(), held: undefined, heard: Date.now() };
    this.members.add(member);
    port.onmessage = ({ data }) => {
      member.heard = Date.now();
      switch (data.do) {
        case "join":
          this.#part(member);
          this.members.add(member);
          this.#join(member, data);
          break;
        case "types":
          for (const type of data.types) member.types.add(type);
          member.feed?.listen(data.types);
          break;
        case "token":
          member.feed?.retoken(data.token);
          break;
        case "ping":
          port.postMessage({ is: "pong", known: Boolean(member.feed) });
          break;
        case "leave":
          this.#part(member);
      }
    };
  }

  #join(member, wish) {
    const { url, topics, withCredentials, token } = wish;
    const key = JSON.stringify([url, [...topics].sort(), withCredentials, token ?? null]);
    member.types = new Set(wish.types);
    let feed = this.feeds.get(key);
    if (feed) {
      member.feed = feed;
      feed.take(member, wish);
      return;
    }
    feed = new Feed(wish, () => this.feeds.get(key) === feed && this.feeds.delete(key));
    this.feeds.set(key, feed);
    member.feed = feed;
    feed.members.add(member);
    feed.listen(wish.types);
    feed.open();
  }

  #part(member) {
    this.members.delete(member);
    const feed = member.feed;
    member.feed = undefined;
    feed?.members.delete(member);
    if (feed?.members.size === 0) feed.close();
  }
}

/** One event stream, and who gets what comes. */
class Feed {
  members = new Set();
  isOpen = false;
  /** What its first member asked for. */
  #wish;
  #gone;
  #types = new Set(["message", "end", RESET]);
  #source;
  #lastId;
  /** It has just come back, and may yet say that it cannot go on where it was. */
  #resuming;
  #failures = 0;
  /** For a token, from whichever member has one first. */
  #waiting = false;
  #timer;

  constructor(wish, gone) {
    this.#wish = wish;
    this.#gone = gone;
    this.#lastId = wish.after;
  }

  open() {
    const { token, withCredentials } = this.#wish;
    const Source = token ? FetchSource : PlainSource;
    this.#source = new Source(this.#address(), {
      token,
      withCredentials,
      lastId: this.#lastId,
      types: this.#types,
    });
    this.#source.tell = (what, detail) => this.#hear(what, detail);
  }

  listen(types) {
    for (const type of types) {
      if (!this.#types.has(type)) {
        this.#types.add(type);
        this.#source?.listen(type);
      }
    }
  }

  retoken(token) {
    if (!this.#waiting) return;
    this.#waiting = false;
    if (token && token !== this.#wish.token) {
      this.#wish.token = token;
      this.#source.close();
      this.open();
    } else {
      this.#closed({ reason: "refused", status: 401 });
    }
  }

  /** A member that comes later. If it wants history, it gets it before what is live. */
  async take(member, wish) {
    this.members.add(member);
    this.listen(wish.types);
    if (this.isOpen) member.port.postMessage({ is: "open" });
    const behind = wish.after ? wish.after !== this.#lastId : wish.last > 0;
    if (!behind) return;
    member.held = [];
    const sent = new Set();
    try {
      await this.#history(
        wish,
        (message) => {
          sent.add(message.lastEventId);
          this.#send(member, message);
        },
        (detail) => member.port.postMessage({ is: "reset", detail }),
      );
      if (wish.after) member.port.postMessage({ is: "resumed" });
    } catch (error) {
      member.port.postMessage({
        is: "reset",
        detail: { reason: "unread", requested: wish.after, error: String(error) },
      });
    }
    const held = member.held ?? [];
    member.held = undefined;
    for (const message of held) {
      if (!sent.has(message.lastEventId)) this.#send(member, message);
    }
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#gone();
  }

  #address(extra = {}) {
    const query = new URLSearchParams();
    for (const topic of this.#wish.topics) query.append("topic", topic);
    const start = this.#lastId ? { after: this.#lastId } : { last: this.#wish.last };
    for (const [name, value] of Object.entries({ ...start, ...extra })) {
      if (value !== undefined) query.set(name, value);
    }
    const text = query.toString();
    return `${this.#wish.url}/events${text && `?${text}`}`;
  }

  async #history(wish, each, reset) {
    const { token, withCredentials } = this.#wish;
    let start = wish.after
      ? { after: wish.after, last: undefined }
      : { after: undefined, last: wish.last };
    for (;;) {
      const answer = await fetch(this.#address({ ...start, limit: PAGE_EVENTS }), {
        headers: { accept: "application/json", ...(token && { authorization: `Bearer ${token}` }) },
        credentials: withCredentials ? "include" : "same-origin",
        cache: "no-store",
      });
      if (!answer.ok) throw new Error(`history: ${answer.status}`);
      const page = await answer.json();
      if (page.reset) reset(page.reset);
      for (const { id, event, data } of page.events) {
        each({
          is: "event",
          type: event,
          data,
          lastEventId: id,
          origin: new URL(this.#wish.url).origin,
        });
      }
      if (page.events.length < PAGE_EVENTS) return;
      start = { after: page.next, last: undefined };
    }
  }

  #hear(what, detail) {
    switch (what) {
      case "open":
        this.isOpen = true;
        this.#failures = 0;
        this.#all({ is: "open" });
        // The stream begins with `tidings.reset` if it cannot go on; what else comes, or soon
        // nothing, says it can.
        this.#resuming = Boolean(this.#lastId);
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#resumed(), RESET_MS);
        break;
      case "error":
        this.#down(detail);
        break;
      case "event":
        this.#event(detail);
        break;
      case "token":
        this.#waiting = true;
        this.#all({ is: "token", detail });
        break;
      case "closed":
        this.#gaveUp(detail);
    }
  }

  #event(message) {
    if (message.lastEventId) this.#lastId = message.lastEventId;
    if (message.type === RESET) {
      this.#resuming = false;
      this.#all({ is: "reset", detail: parsed(message.data) });
      return;
    }
    this.#resumed();
    for (const member of this.members) {
      if (member.held) member.held.push(message);
      else this.#send(member, message);
    }
  }

  #send(member, message) {
    if (member.types.has(message.type)) member.port.postMessage(message);
  }

  #resumed() {
    if (!this.#resuming) return;
    this.#resuming = false;
    this.#all({ is: "resumed" });
  }

  #down(detail) {
    this.isOpen = false;
    this.#resuming = false;
    this.#all({ is: "error", detail });
  }

  /** The source will not come back by itself; the answer it got says whether that is right. */
  async #gaveUp({ status, problem }) {
    this.#down({ reason: "connection lost" });
    if (status === undefined) ({ status, problem } = await this.#ask());
    if (status === 204) {
      this.#closed({ reason: "ended" });
    } else if (isFinal(status)) {
      this.#closed({ reason: "refused", status, problem });
    } else {
      this.#failures += 1;
      const wait = Math.min(WAIT_MAX_MS, 1000 * 2 ** this.#failures) * (0.5 + Math.random() / 2);
      this.#timer = setTimeout(() => this.members.size && this.open(), wait);
    }
  }

  /** What EventSource does not tell: the status it was refused with. */
  async #ask() {
    const broken = new AbortController();
    try {
      const answer = await fetch(this.#address(), {
        headers: { accept: "text/event-stream" },
        credentials: this.#wish.withCredentials ? "include" : "same-origin",
        cache: "no-store",
        signal: broken.signal,
      });
      const problem = answer.ok ? undefined : await answer.json().catch(() => undefined);
      return { status: answer.status, problem };
    } catch {
      return {};
    } finally {
      broken.abort();
    }
  }

  #closed(detail) {
    this.#all({ is: "closed", detail });
    this.close();
  }

  #all(message) {
    for (const member of this.members) member.port.postMessage(message);
  }
}

/** The type of the event by which a hub says that events may be missing. */
const RESET = "tidings.reset";

/** Whether asking again would be answered the same. */
function isFinal(status) {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return { reason: "unknown" };
  }
}

/** The browser's own. */
class PlainSource {
  tell = () => {};
  #source;

  constructor(address, { withCredentials, types }) {
    this.#source = new EventSource(address, { withCredentials });
    this.#source.onopen = () => this.tell("open");
    this.#source.onerror = () => {
      const over = this.#source.readyState === EventSource.CLOSED;
      this.tell(over ? "closed" : "error", over ? {} : { reason: "connection lost" });
    };
    for (const type of types) this.listen(type);
  }

  listen(type) {
    this.#source.addEventListener(type, ({ data, lastEventId, origin }) => {
      this.tell("event", { is: "event", type, data, lastEventId, origin });
    });
  }

  close() {
    this.tell = () => {};
    this.#source.close();
  }
}

/** The same by fetch, which can send a header. */
class FetchSource {
  tell = () => {};
  #address;
  #options;
  #lastId;
  #retry = 3000;
  #stop = new AbortController();

  constructor(address, options) {
    this.#address = address;
    this.#options = options;
    this.#lastId = options.lastId ?? "";
    this.#run();
  }

  /** It sees every type anyway. */
  listen() {}

  close() {
    this.tell = () => {};
    this.#stop.abort();
  }

  async #run() {
    for (let failures = 0; !this.#stop.signal.aborted;) {
      const answer = await this.#request().catch(() => undefined);
      const status = answer?.status;
      if (status === 204) return this.tell("closed", { status });
      if (status === 200) {
        failures = 0;
        this.tell("open");
        await this.#read(answer.body).catch(() => {});
      } else if (status === 401) {
        return this.tell("token", await answer.json().catch(() => undefined));
      } else if (isFinal(status)) {
        return this.tell("closed", { status, problem: await answer.json().catch(() => undefined) });
      } else {
        failures += 1;
      }
      this.tell("error", { reason: "connection lost", status });
      const wait = Math.min(WAIT_MAX_MS, this.#retry * 2 ** Math.max(0, failures - 1));
      await new Promise((resolve) => setTimeout(resolve, wait * (0.75 + Math.random() / 2)));
    }
  }

  #request() {
    const headers = { accept: "text/event-stream", authorization: `Bearer ${this.#options.token}` };
    // A header holds bytes: the id's UTF-8.
    const id = String.fromCharCode(...new TextEncoder().encode(this.#lastId));
    if (id) headers["last-event-id"] = id;
    return fetch(this.#address, {
      headers,
      credentials: this.#options.withCredentials ? "include" : "same-origin",
      cache: "no-store",
      signal: this.#stop.signal,
    });
  }

  async #read(body) {
    const blocks = new EventBlocks((field, value) => this.#field(field, value));
    const origin = new URL(this.#address).origin;
    blocks.dispatch = ({ type, data, id }) => {
      if (id !== undefined) this.#lastId = id;
      if (data === undefined) return;
      this.tell("event", {
        is: "event",
        type: type || "message",
        data,
        lastEventId: this.#lastId,
        origin,
      });
    };
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      blocks.push(value);
    }
  }

  #field(field, value) {
    if (field === "retry" && /^[0-9]+$/.test(value)) this.#retry = Number(value);
  }
}

/**
 * The event stream format (HTML standard, section 9.2.6). The decoder has dropped the byte order
 * mark.
 */
export class EventBlocks {
  dispatch = () => {};
  #other;
  #rest = "";
  #block = {};
  #afterCr = false;

  constructor(other = () => {}) {
    this.#other = other;
  }

  push(text) {
    if (this.#afterCr && text.startsWith("\n")) text = text.slice(1);
    this.#afterCr = text ? text.endsWith("\r") : this.#afterCr;
    const lines = (this.#rest + text).split(/\r\n|\n|\r/);
    this.#rest = lines.pop();
    for (const line of lines) this.#line(line);
  }

  #line(line) {
    const block = this.#block;
    if (line === "") {
      this.#block = {};
      this.dispatch(block);
      return;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") block.data = block.data === undefined ? value : `${block.data}\n${value}`;
    else if (field === "event") block.type = value;
    else if (field === "id") block.id = value.includes("\0") ? block.id : value;
    else if (field) this.#other(field, value);
  }
}

// The worker's side: this file was started as its script, or imported by one that was.

if (typeof document === "undefined" && globalThis.name?.startsWith?.(NAME)) {
  const exchange = new Exchange();
  if ("onconnect" in globalThis) {
    globalThis.onconnect = ({ ports: [port] }) => {
      exchange.admit(port);
      port.postMessage({ is: "hello" });
    };
  } else {
    globalThis.onmessage = ({ ports: [port] }) => exchange.admit(port);
    globalThis.postMessage({ is: "hello" });
  }
}
