// tidings.js: one connection to a Tidings hub, shared by all tabs of an origin.
//
//     import { connect } from "/tidings.js";
//     const news = connect("", { topics: ["news/**"] });
//     news.addEventListener("message", (event) => console.log(event.data));
//
// Four parts, in this order. A `Connection` is what a page holds. An `Exchange` is what all pages
// share: it lives in a SharedWorker (else in a Worker, else in the page) and keeps one `Feed` for
// each set of topics. A feed passes on what its `Stream` reads: one event stream, read with fetch.
// EventSource would do less: it cannot set a header, hides the answer's status and media type, and
// reconnects as often as a stream's `retry` says, be that at once or never.
//
// The same file is the page's module and the worker's script, so that there is one file to serve
// and to copy. Page and worker exchange small objects: `do` is what the page wants, `is` what the
// exchange reports.

/** Part of every worker's name. A version for each change of what page and worker exchange. */
const NAME = "tidings/2";

/** Values of `readyState`, the same as those of EventSource. */
const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 2;

/** Silence of a worker, in milliseconds, after which a page takes it for dead. */
const PATIENCE_MS = 12_000;

/** The least `patience`, in milliseconds: a page asks three times in this time. */
const PATIENCE_MS_MIN = 300;

/** Silence of a page, in milliseconds, after which it is gone; hidden pages ping once a minute. */
const MEMBER_SILENCE_MS = 200_000;

/** Event ids that a page remembers, to recognise repeats after its worker died. */
const RECENT_IDS = 256;

/** Longest time for a worker to start, in milliseconds. */
const GREETING_MS = 4_000;

/** Names to try for a worker: one that hangs keeps its name. */
const NAMES_MAX = 2;

/** Reconnection time until the stream sets one with `retry`, in milliseconds. */
const RETRY_MS = 3_000;

/** Bounds of a reconnection time that the stream sets, in milliseconds. The longest is a day. */
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 24 * 60 * 60 * 1000;

/** Longest wait between attempts of our own choice, in milliseconds. */
const WAIT_MS_MAX = 30_000;

/** Longest wait for the head of an answer, in milliseconds. */
const ANSWER_MS = 60_000;

/** Longest wait for the page's `token` function, in milliseconds. */
const TOKEN_MS = 30_000;

/** Events of history read at once. */
const PAGE_EVENTS = 1000;

/** Live events held back for a tab that still reads history. More, and history is read again. */
const HELD_EVENTS_MAX = 10_000;

/** Longest event, in characters: a hub cannot be set to accept a longer one. */
const EVENT_CHARS_MAX = 16 * 1024 * 1024;

/** Longest problem that is read from a refusal, in bytes. */
const PROBLEM_BYTES_MAX = 64 * 1024;

/** Opens a connection to the hub at `url`; see tidings.d.ts for the options. */
export function connect(url = "", options = {}) {
  const hub = new URL(url || "/", globalThis.location?.href);
  if (!/^https?:$/.test(hub.protocol)) {
    throw new TypeError(`connect: ${hub.protocol} is not a hub's scheme; give an http(s) URL`);
  }
  if (hub.username || hub.password || hub.search || hub.hash) {
    throw new TypeError("connect: a hub's URL has neither user, query nor fragment");
  }
  return new Connection(hub.href.replace(/\/+$/, ""), options);
}

// The page's side.

export class Connection extends EventTarget {
  #url;
  #options;
  /** Kinds of host that are still to be tried, the best first. */
  #kinds;
  /** Where the stream is read now: `{ port, end }`. */
  #host;
  /** Part of the worker's name: a dead one must not be found again. */
  #generation = 1;
  #types = new Set(["message"]);
  /** The last ids that arrived, and whether what comes may be a repeat of these. */
  #recent = [];
  #doubtful = false;
  /** When the worker last reported something. */
  #heard = 0;
  /** The host for which a token is being fetched. */
  #joining;
  #timer;
  #closing = new AbortController();
  #leave;
  #back;

  constructor(url, options) {
    super();
    this.#url = url;
    this.#options = { topics: [], withCredentials: false, patience: PATIENCE_MS, ...options };
    const { worker, patience, token, after } = this.#options;
    const kinds = Object.keys(HOSTS);
    if (worker !== undefined && !kinds.includes(worker)) {
      throw new TypeError(`connect: worker is one of ${kinds.join(", ")}`);
    }
    if (!(patience >= PATIENCE_MS_MIN)) {
      throw new TypeError(`connect: patience is at least ${PATIENCE_MS_MIN} ms`);
    }
    if (typeof token !== "function") checkedToken(token);
    this.#kinds = kinds.slice(Math.max(0, kinds.indexOf(worker)));
    this.readyState = CONNECTING;
    this.lastEventId = after ?? "";
    /** Where the stream is read: "shared", "dedicated" or "page". */
    this.host = undefined;
    this.#leave = () => this.#host?.port.postMessage({ do: "leave" });
    globalThis.addEventListener?.("pagehide", this.#leave);
    // A page that comes back from the back/forward cache had left.
    this.#back = (event) => event.persisted && this.#join();
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
      this.#host?.port.postMessage({ do: "types", types: [type] });
    }
  }

  /** Ends this connection; the shared stream ends with the last one that uses it. */
  close() {
    this.#end({ reason: "closed here" });
  }

  async #start() {
    while (this.readyState !== CLOSED) {
      const kind = this.#kinds[0];
      const host = await this.#reach(kind);
      if (host) {
        this.host = kind;
        this.#use(host);
        return;
      }
      this.#kinds.shift();
    }
  }

  /** A host of this kind, or `undefined` where there can be none. */
  async #reach(kind) {
    for (let names = 0; names < NAMES_MAX; names += 1) {
      try {
        return await HOSTS[kind](`${NAME}.${this.#generation}`);
      } catch (error) {
        if (!(error instanceof Silent)) return undefined;
        this.#generation += 1;
      }
    }
    return undefined;
  }

  #use(host) {
    if (this.readyState === CLOSED) {
      host.port.close();
      return;
    }
    this.#host = host;
    this.#heard = Date.now();
    host.port.onmessage = ({ data }) => host === this.#host && this.#hear(data);
    this.#join();
    clearInterval(this.#timer);
    let ticked = Date.now();
    const every = this.#options.patience / 3;
    this.#timer = setInterval(() => {
      const now = Date.now();
      // A timer that was late shows that this page slept, not that the worker did.
      if (now - ticked > 2 * every) this.#heard = now;
      ticked = now;
      if (now - this.#heard > this.#options.patience) this.#revive();
      else host.port.postMessage({ do: "ping" });
    }, every);
  }

  async #join() {
    const host = this.#host;
    if (!host || this.#joining === host) return;
    this.#joining = host;
    const token = await this.#token();
    if (this.#joining === host) this.#joining = undefined;
    if (this.#host !== host || this.readyState === CLOSED) return;
    const { topics, withCredentials, last } = this.#options;
    host.port.postMessage({
      do: "join",
      url: this.#url,
      topics: [topics].flat(),
      withCredentials,
      token,
      types: [...this.#types],
      after: this.lastEventId,
      last: this.lastEventId ? undefined : last,
    });
  }

  /**
   * The page's token; `undefined` if it has none, or none but the one that was just refused. A
   * function that fails, or does not settle, is an error like a lost connection: it is told, and
   * the function called again.
   */
  async #token(refused = false, problem = undefined) {
    const { token } = this.#options;
    if (typeof token !== "function") return refused ? undefined : token;
    for (let failures = 1; this.readyState !== CLOSED; failures += 1) {
      try {
        return checkedToken(await within(TOKEN_MS, token(problem)));
      } catch (error) {
        if (this.readyState === CLOSED) break;
        this.readyState = CONNECTING;
        this.#tell("error", { reason: "no token", error: String(error) });
      }
      await pause(backoff(1000, failures), this.#closing.signal);
    }
    return undefined;
  }

  /** The worker is dead or hangs: another one continues after the last event that arrived here. */
  #revive() {
    const { port, end } = this.#host;
    this.#host = undefined;
    clearInterval(this.#timer);
    // If it only hung, it ends when it reads this; its other pages follow us to the next one, so
    // that they all share a connection again.
    port.postMessage({ do: "retire" });
    port.close();
    end?.();
    this.#generation += 1;
    this.#doubtful = true;
    this.readyState = CONNECTING;
    this.#tell("error", { reason: "worker lost" });
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
        this.readyState = OPEN;
        this.#tell("open");
        break;
      case "error":
        this.readyState = CONNECTING;
        this.#tell("error", message.detail);
        break;
      case "token": {
        const { port } = this.#host;
        port.postMessage({ do: "token", token: await this.#token(true, message.detail) });
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
      case "retired":
        this.#revive();
        break;
      case "id":
        this.lastEventId = message.lastEventId;
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
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    clearInterval(this.#timer);
    this.#closing.abort();
    this.#leave();
    this.#host?.port.close();
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

/** The token, or an error that says what one is: anything else could not be put into a header. */
function checkedToken(token) {
  if (token !== undefined && token !== null && !/^[\x21-\x7e]+$/.test(token)) {
    throw new TypeError("a token is printable ASCII without spaces");
  }
  return token ?? undefined;
}

/** What a promise gives, or an error if that takes longer. */
function within(ms, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms / 1000} s`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/**
 * How to reach an exchange: each gives a port, and where that is possible a way to end its thread,
 * or fails. The best is first. The script's URL is written out where a worker is made: bundlers
 * look for these very words.
 */
const HOSTS = {
  async shared(name) {
    const worker = new SharedWorker(new URL("./tidings.js", import.meta.url), {
      type: "module",
      name,
    });
    worker.port.start();
    await greeting(worker, worker.port);
    return { port: worker.port };
  },
  async dedicated(name) {
    dedicated ??= startWorker(name);
    const started = dedicated;
    const forget = () => {
      if (dedicated === started) dedicated = undefined;
    };
    const worker = await started.catch((error) => {
      forget();
      throw error;
    });
    const { port1, port2 } = new MessageChannel();
    worker.postMessage({ do: "port" }, [port2]);
    return {
      port: port1,
      end() {
        forget();
        worker.terminate();
      },
    };
  },
  async page() {
    const { port1, port2 } = new MessageChannel();
    local ??= new Exchange(() => (local = undefined));
    local.admit(port2);
    return { port: port1 };
  },
};

let dedicated;
let local;

async function startWorker(name) {
  const script = new URL("./tidings.js", import.meta.url);
  let worker;
  let blob;
  try {
    worker = new Worker(new URL("./tidings.js", import.meta.url), { type: "module", name });
  } catch {
    // A script of another origin cannot be a worker's script, but a worker may import it.
    const text = `import ${JSON.stringify(script.href)};`;
    blob = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    worker = new Worker(blob, { type: "module", name });
  }
  try {
    await greeting(worker, worker);
  } catch (error) {
    worker.terminate();
    throw error;
  } finally {
    if (blob) URL.revokeObjectURL(blob);
  }
  return worker;
}

/** A worker that did not greet in time. */
class Silent extends Error {}

/** Waits for the worker's first message. */
function greeting(worker, port) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Silent("the worker does not answer")), GREETING_MS);
    worker.onerror = (event) => {
      event.preventDefault?.();
      clearTimeout(late);
      reject(new Error("the worker does not start"));
    };
    port.onmessage = () => {
      clearTimeout(late);
      resolve();
    };
  });
}

// The shared side.

class Exchange {
  #feeds = new Map();
  /** A port for each connection of a page: `{ port, heard, member }`. */
  #guests = new Set();
  #over;
  #sweeper;

  /** `over` is called when the exchange has ended. */
  constructor(over) {
    this.#over = over;
    this.#sweeper = setInterval(() => {
      for (const guest of this.#guests) {
        if (Date.now() - guest.heard > MEMBER_SILENCE_MS) this.#part(guest);
      }
    }, MEMBER_SILENCE_MS / 4);
  }

  /** Answers what comes through the port of one connection. */
  admit(port) {
    const guest = { port, heard: Date.now(), member: undefined };
    this.#guests.add(guest);
    port.onmessage = ({ data }) => {
      guest.heard = Date.now();
      this.#guests.add(guest);
      const { member } = guest;
      switch (data.do) {
        case "join":
          this.#part(guest);
          this.#guests.add(guest);
          this.#join(guest, data);
          break;
        case "types":
          for (const type of data.types) member?.types.add(type);
          break;
        case "token":
          if (member?.feed.retoken(member, data.token)) this.#rekey(member.feed);
          break;
        case "ping":
          port.postMessage({ is: "pong", known: Boolean(member) });
          break;
        case "leave":
          this.#part(guest);
          break;
        case "retire":
          this.#part(guest);
          this.#retire();
      }
    };
  }

  #join(guest, wish) {
    let feed = this.#feeds.get(keyOf(wish));
    const isNew = !feed;
    if (isNew) {
      feed = new Feed(wish, () => this.#remove(feed));
      this.#feeds.set(feed.key, feed);
    }
    guest.member = { port: guest.port, feed, types: new Set(wish.types), held: undefined };
    feed.admit(guest.member, isNew ? undefined : wish);
  }

  /** Tabs that come with the feed's new token share it; those with the old one do not. */
  #rekey(feed) {
    this.#remove(feed);
    if (!this.#feeds.has(feed.key)) this.#feeds.set(feed.key, feed);
  }

  #remove(feed) {
    for (const [key, other] of this.#feeds) if (other === feed) this.#feeds.delete(key);
  }

  #part(guest) {
    this.#guests.delete(guest);
    guest.member?.feed.part(guest.member);
    guest.member = undefined;
  }

  /** One page took this exchange for dead: all move on to the next, and this one ends. */
  #retire() {
    clearInterval(this.#sweeper);
    for (const guest of [...this.#guests]) {
      guest.port.postMessage({ is: "retired" });
      this.#part(guest);
    }
    this.#over();
  }
}

/** What connections must agree on to share a feed. */
function keyOf({ url, topics, withCredentials, token }) {
  return JSON.stringify([url, [...topics].sort(), withCredentials, token ?? null]);
}

/** One event stream, and the pages that get what comes. */
class Feed {
  #members = new Set();
  #wish;
  #gone;
  #stream;
  #isOpen = false;
  /** The stream has just come back, and may yet begin with a reset. */
  #resuming = false;
  /** The refusal of the token, while the pages are asked for another. */
  #refusal;

  /** `gone` is called when the feed has ended. */
  constructor(wish, gone) {
    this.#wish = wish;
    this.#gone = gone;
    this.#stream = new Stream(wish, (what, detail) => this.#hear(what, detail));
  }

  get key() {
    return keyOf({ ...this.#wish, token: this.#stream.token });
  }

  /** Takes a page in; with its `wish` if the feed began without it. */
  admit(member, wish) {
    this.#members.add(member);
    if (!wish) return;
    if (this.#isOpen) member.port.postMessage({ is: "open" });
    if (this.#refusal) member.port.postMessage({ is: "token", detail: this.#refusal.problem });
    const lastEventId = this.#stream.lastId;
    if (wish.after ? wish.after !== lastEventId : wish.last > 0) this.#catchUp(member, wish);
    else if (lastEventId) member.port.postMessage({ is: "id", lastEventId });
  }

  /** Lets a page go. The last one ends the feed. */
  part(member) {
    this.#members.delete(member);
    if (this.#members.size > 0) return;
    this.#stream.close();
    this.#gone();
  }

  /**
   * What a page answered when asked for another token, and whether it is used. A page that has none
   * is closed.
   */
  retoken(member, token) {
    if (!this.#refusal) return false;
    if (!token || token === this.#stream.token) {
      member.port.postMessage({ is: "closed", detail: this.#refusal });
      this.part(member);
      return false;
    }
    this.#refusal = undefined;
    this.#stream.retoken(token);
    return true;
  }

  /**
   * Sends history to a page that came later, and then what was live meanwhile. Both have the log's
   * order, but either may be ahead of the other: live events up to the last one that history has
   * are not sent after it, and what history has is not sent again when it comes live.
   */
  async #catchUp(member, wish) {
    member.held = [];
    member.sent = new Set();
    let start = wish.after ? { after: wish.after } : { last: wish.last };
    let isReset = false;
    try {
      for (let more = true; more && this.#members.has(member); ) {
        member.isOverfull = false;
        const page = await this.#history(start);
        if (page.reset) {
          isReset = true;
          member.port.postMessage({ is: "reset", detail: page.reset });
        }
        for (const message of page.messages) this.#send(member, message);
        for (const { lastEventId } of page.messages) remember(member.sent, lastEventId);
        const known = member.held.findLastIndex(({ lastEventId }) => member.sent.has(lastEventId));
        member.held.splice(0, known + 1);
        start = { after: page.next };
        more = page.messages.length === PAGE_EVENTS || member.isOverfull;
      }
      if (wish.after && !isReset) member.port.postMessage({ is: "resumed" });
    } catch (error) {
      member.port.postMessage({
        is: "reset",
        detail: { reason: "unread", requested: wish.after, error: String(error) },
      });
    }
    const { held } = member;
    member.held = undefined;
    if (!this.#members.has(member)) return;
    for (const message of held) this.#send(member, message);
    if (held.length > 0) member.sent = undefined;
  }

  /** One page of history. */
  async #history(start) {
    const { status, ok, body } = await this.#stream.history({ ...start, limit: PAGE_EVENTS });
    if (!ok) throw new Error(`history: ${status}`);
    const { origin } = new URL(this.#wish.url);
    const messages = body.events.map(({ id, event, data }) => {
      return { is: "event", type: event, data, lastEventId: id, origin };
    });
    return { messages, reset: body.reset, next: body.next };
  }

  #hear(what, detail) {
    switch (what) {
      case "open":
        this.#isOpen = true;
        this.#all({ is: "open" });
        // Without the hub's word for it, the stream's beginning tells: either a reset, or not.
        this.#resuming = Boolean(this.#stream.lastId) && detail !== "live";
        if (detail === "resumed") this.#resumed();
        break;
      case "id":
        this.#resumed();
        for (const member of this.#members) {
          if (!member.held) member.port.postMessage({ is: "id", lastEventId: detail });
        }
        break;
      case "event":
        this.#event(detail);
        break;
      case "error":
        this.#down(detail);
        break;
      case "token":
        this.#down({ reason: "token refused", status: 401 });
        this.#refusal = { reason: "refused", status: 401, problem: detail };
        this.#all({ is: "token", detail });
        break;
      case "closed":
        this.#all({ is: "closed", detail });
        for (const member of [...this.#members]) this.part(member);
    }
  }

  #event(message) {
    if (message.type === RESET) {
      this.#resuming = false;
      this.#all({ is: "reset", detail: parsed(message.data) ?? { reason: "unknown" } });
      return;
    }
    this.#resumed();
    for (const member of this.#members) {
      const { held } = member;
      if (!held) {
        if (member.sent?.has(message.lastEventId)) continue;
        member.sent = undefined;
        this.#send(member, message);
        continue;
      }
      // What is dropped here is in the history, which is then read on to its end.
      member.isOverfull ||= held.length === HELD_EVENTS_MAX;
      if (held.length === HELD_EVENTS_MAX) held.length = 0;
      held.push(message);
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
    this.#isOpen = false;
    this.#resuming = false;
    this.#all({ is: "error", detail });
  }

  #all(message) {
    for (const member of this.#members) member.port.postMessage(message);
  }
}

/** Adds an id to those that history has sent; the oldest is forgotten when there are too many. */
function remember(ids, id) {
  ids.add(id);
  if (ids.size > HELD_EVENTS_MAX) ids.delete(ids.values().next().value);
}

/** The type of the event by which a hub says that events may be missing. */
const RESET = "tidings.reset";

/**
 * Reads one event stream, over as many connections as it takes, and tells what happens: `open` with
 * the value of `Tidings-Resume`, `event`, `id`, `error` (it will be asked for again), `token` (this
 * one was refused, it waits for `retoken`), and `closed` (for good).
 */
class Stream {
  token;
  lastId;
  #wish;
  #tell;
  /** What the stream has set with `retry`, in milliseconds, within its bounds. */
  #retry = RETRY_MS;
  #stop = new AbortController();
  #retokened;

  constructor(wish, tell) {
    this.#wish = wish;
    this.#tell = tell;
    this.token = wish.token;
    this.lastId = wish.after ?? "";
    this.#run();
  }

  close() {
    this.#tell = () => {};
    this.#stop.abort();
    this.#retokened?.();
  }

  /** Asks again, with this token. */
  retoken(token) {
    this.token = token;
    this.#retokened?.();
  }

  /** The same topics as a page of JSON. */
  async history(start) {
    const answer = await this.#fetch("application/json", start, this.#stop.signal);
    return { status: answer.status, ok: answer.ok, body: answer.ok && (await answer.json()) };
  }

  async #run() {
    // Failures since the stream was last open, and refusals of tokens among them.
    let failures = 0;
    let refusals = 0;
    while (!this.#stop.signal.aborted) {
      const outcome = await this.#attempt();
      if (this.#stop.signal.aborted) return;
      if (outcome.closed) return this.#tell("closed", outcome.closed);
      if (outcome.wasOpen) failures = refusals = 0;
      else failures += 1;
      if (outcome.refused) {
        refusals += 1;
        this.#tell("token", outcome.refused.problem);
        await new Promise((resolve) => (this.#retokened = resolve));
        // A fresh token is tried at once; one after another that is refused, ever more slowly.
        if (refusals === 1) continue;
      } else {
        this.#tell("error", outcome.lost);
      }
      const wait = Math.max(backoff(this.#retry, failures), outcome.retryAfter ?? 0);
      await pause(Math.min(wait * (1 + Math.random() / 4), RETRY_MS_MAX), this.#stop.signal);
    }
  }

  /** One connection, from the request to the end of its body, and what became of it. */
  async #attempt() {
    const attempt = new AbortController();
    const abort = () => attempt.abort();
    this.#stop.signal.addEventListener("abort", abort);
    const late = setTimeout(abort, ANSWER_MS);
    try {
      const start = this.lastId ? { after: this.lastId } : { last: this.#wish.last };
      const answer = await this.#fetch("text/event-stream", start, attempt.signal);
      const { status } = answer;
      if (status === 204) return { closed: { reason: "ended" } };
      if (status !== 200) return await refused(answer);
      if (!isEventStream(answer)) return { closed: otherAnswer(answer) };
      clearTimeout(late);
      this.#tell("open", answer.headers.get("tidings-resume"));
      return { wasOpen: true, ...(await this.#read(answer.body)) };
    } catch {
      return { lost: { reason: "connection lost" } };
    } finally {
      clearTimeout(late);
      this.#stop.signal.removeEventListener("abort", abort);
      abort();
    }
  }

  #fetch(accept, start, signal) {
    const { url, topics, withCredentials } = this.#wish;
    const query = new URLSearchParams();
    for (const topic of topics) query.append("topic", topic);
    for (const [name, value] of Object.entries(start)) {
      if (value !== undefined) query.set(name, value);
    }
    const text = query.toString();
    return fetch(`${url}/events${text && `?${text}`}`, {
      headers: { accept, ...(this.token && { authorization: `Bearer ${this.token}` }) },
      credentials: withCredentials ? "include" : "same-origin",
      cache: "no-store",
      signal,
    });
  }

  /** Reads events until the connection breaks, and says how it broke. */
  async #read(body) {
    const { origin } = new URL(this.#wish.url);
    const blocks = new EventBlocks((field, value) => {
      if (field !== "retry" || !/^[0-9]+$/.test(value)) return;
      this.#retry = Math.min(Math.max(Number(value), RETRY_MS_MIN), RETRY_MS_MAX);
    });
    blocks.dispatch = ({ type, data, id }) => {
      if (id !== undefined) this.lastId = id;
      if (data !== undefined) {
        const message = { is: "event", type: type || "message", data, lastEventId: this.lastId };
        this.#tell("event", { ...message, origin });
      } else if (id) {
        this.#tell("id", id);
      }
    };
    const decoder = new TextDecoder();
    const reader = body.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        blocks.push(decoder.decode(value, { stream: true }));
      }
    } catch (error) {
      // The stream would bring the same event again.
      if (error instanceof RangeError) return { closed: { reason: "event too large" } };
    }
    return { lost: { reason: "connection lost" } };
  }
}

/** What follows from an answer that is no stream: ask again, with another token, or never. */
async function refused(answer) {
  const { status } = answer;
  // The same request would be answered the same, but for these.
  if ([408, 425, 429].includes(status) || status >= 500) {
    return { lost: { reason: "connection lost", status }, retryAfter: retryAfter(answer) };
  }
  const problem = await problemOf(answer);
  if (status === 401) return { refused: { problem } };
  return { closed: { reason: "refused", status, problem } };
}

/** A server that answers with a page, such as one to log in, would do so again. */
function otherAnswer(answer) {
  const { status, url } = answer;
  return {
    reason: "not an event stream",
    status,
    contentType: answer.headers.get("content-type") ?? "",
    // Where it came from, if the request was sent elsewhere. The query may hold secrets.
    ...(answer.redirected && { redirectedTo: url.split(/[?#]/)[0] }),
  };
}

function isEventStream(answer) {
  return /^\s*text\/event-stream\s*([;,]|$)/i.test(answer.headers.get("content-type") ?? "");
}

/** The hub's problem details (RFC 9457), if the answer has any. */
async function problemOf(answer) {
  if (!/^application\/([\w.-]+\+)?json\b/i.test(answer.headers.get("content-type") ?? "")) return;
  const decoder = new TextDecoder();
  const reader = answer.body.getReader();
  let text = "";
  for (let bytes = 0; bytes <= PROBLEM_BYTES_MAX; ) {
    const { done, value } = await reader.read();
    if (done) return parsed(text);
    bytes += value.length;
    text += decoder.decode(value, { stream: true });
  }
}

/** `Retry-After` in milliseconds: seconds, or a date. */
function retryAfter(answer) {
  const text = answer.headers.get("retry-after") ?? "";
  const ms = /^[0-9]+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return ms > 0 ? Math.min(ms, RETRY_MS_MAX) : 0;
}

/** A wait in milliseconds that doubles with each failure after the first; at least `base`. */
function backoff(base, failures) {
  return Math.min(base * 2 ** Math.max(0, failures - 1), Math.max(base, WAIT_MS_MAX));
}

/** Waits, but not longer than until the signal. */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", over);
      resolve();
    };
    const timer = setTimeout(over, ms);
    signal.addEventListener("abort", over);
    if (signal.aborted) over();
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * The event stream format (HTML standard, section 9.2.6), for text that comes in pieces of any
 * size. Takes time in proportion to the text: each character is looked at once, and a line or a
 * block is put together when it is complete. The decoder of the bytes drops the byte order mark, as
 * `TextDecoder` does.
 */
export class EventBlocks {
  dispatch = () => {};
  #other;
  /** The pieces of the line that is not complete. */
  #line = [];
  /** The last piece ended with CR: a LF at the start of the next one ends no line. */
  #afterCr = false;
  /** Lines of data of the block that is not complete. */
  #data = [];
  #type;
  #id;
  /** Characters of line and block so far. */
  #chars = 0;

  constructor(other = () => {}) {
    this.#other = other;
  }

  /** Takes the next piece. Throws a RangeError if a line or an event gets too long. */
  push(text) {
    if (text === "") return;
    if (this.#afterCr && text[0] === "\n") text = text.slice(1);
    this.#afterCr = text.endsWith("\r");
    const lines = text.split(/\r\n|\n|\r/);
    const rest = lines.pop();
    for (const line of lines) {
      this.#grow(line);
      const whole = this.#line.length === 1 ? line : this.#line.join("");
      this.#line = [];
      this.#take(whole);
    }
    if (rest) this.#grow(rest);
  }

  #grow(piece) {
    this.#chars += piece.length;
    if (this.#chars > EVENT_CHARS_MAX) throw new RangeError("an event is too large");
    this.#line.push(piece);
  }

  #take(line) {
    if (line === "") {
      this.#dispatch();
      return;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    // Only data is kept with its block: a value and the line end after it.
    this.#chars -= field === "data" ? line.length - value.length - 1 : line.length;
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#type = value;
    else if (field === "id") this.#id = value.includes("\0") ? this.#id : value;
    else if (field) this.#other(field, value);
  }

  #dispatch() {
    const data = this.#data.length ? this.#data.join("\n") : undefined;
    const block = { type: this.#type, data, id: this.#id };
    this.#data = [];
    this.#type = this.#id = undefined;
    this.#chars = 0;
    this.dispatch(block);
  }
}

// The worker's side: this file was started as its script, or imported by one that was.

if (typeof document === "undefined" && globalThis.name?.startsWith?.(NAME)) {
  const exchange = new Exchange(() => globalThis.close());
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
