// The state of topics as a live map: what each key stands for now.
//
//     import { state } from "/tidings-state.js";
//     const stocks = state("", { topics: "stocks", parse: JSON.parse });
//     await stocks.ready;
//     console.log(stocks.get("ACME"));
//     stocks.addEventListener("change", ({ detail: { key, value } }) => console.log(key, value));
//
// It folds what a connection with `from: "state"` brings: whole values, pieces of values that grow,
// keys that are removed, and `tidings.state` when the state is complete. All tabs share a stream.

import { connect } from "./tidings.js";

/** Time after which a state is asked for again that could not be read, in milliseconds. */
const AGAIN_MS = 1_000;

/** The state of some topics of the hub at `url`; see tidings-state.d.ts for the options. */
export function state(url, options) {
  return new State(url, options);
}

/**
 * Key, value and topic of all that a page of a state holds (`?from=state` as JSON), for a server
 * that renders; a page that is not complete holds nothing yet.
 */
export function entriesOf(page, parse = (text) => text) {
  const held = new Map();
  for (const { key = "", data, topic, type, removed } of page.complete ? eventsOf(page) : []) {
    if (!removed && isOfState(key, type)) held.set(nameOf(topic, key), [key, parse(data), topic]);
  }
  return [...held.values()];
}

/** All events of a page, as a stream would bring them: the last ones of topics after the state. */
function eventsOf(page) {
  const { events = [], ends = [] } = page ?? {};
  return [...events, ...ends].map(({ event: type, ...event }) => ({ type, ...event }));
}

/** The end of a topic has no key, and is no value; a last event with data is one. */
function isOfState(key, type) {
  return key !== "" || type !== "end";
}

export class State extends EventTarget {
  /** Resolves when the state is complete for the first time; rejects if it is closed before. */
  ready;
  #settle;
  #url;
  #options;
  #parse;
  /** The only topic, if it is one. */
  #topic;
  #connection;
  #timer;
  #isReady = false;
  /** What is shown: a slot for each topic and key. */
  #slots = new Map();
  /** What becomes that when it is complete; `undefined` where changes are shown as they come. */
  #coming = new Map();

  constructor(url, { parse = (text) => text, page, ...options } = {}) {
    super();
    this.#url = url;
    this.#options = options;
    this.#parse = parse;
    const topics = [options.topics ?? []].flat();
    if (topics.length === 1 && !topics[0].includes("*")) [this.#topic] = topics;
    this.ready = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    // A program that does not wait for it is not ended by it: there is `closed`.
    this.ready.catch(() => {});
    for (const event of eventsOf(page)) this.#take(event);
    if (page?.complete) this.#complete();
    this.#connect(page?.next);
  }

  /** Whether it has been complete. */
  get isReady() {
    return this.#isReady;
  }

  get size() {
    return this.#slots.size;
  }

  /** The value of a key; of events without a key with `""`. */
  get(key, topic) {
    return this.#slots.get(this.#named(key, topic))?.value;
  }

  has(key, topic) {
    return this.#slots.has(this.#named(key, topic));
  }

  /** Key, value and topic of all that is there. */
  *entries() {
    for (const { key, value, topic } of this.#slots.values()) yield [key, value, topic];
  }

  *keys() {
    for (const { key } of this.#slots.values()) yield key;
  }

  *values() {
    for (const { value } of this.#slots.values()) yield value;
  }

  [Symbol.iterator]() {
    return this.entries();
  }

  close() {
    clearTimeout(this.#timer);
    if (this.#connection) this.#connection.close();
    else this.#tell("closed", { reason: "closed here" });
  }

  #named(key, topic = this.#topic) {
    if (topic === undefined) throw new TypeError("state: of several topics, say which one");
    return nameOf(topic, key);
  }

  #connect(after) {
    const connection = connect(this.#url, { ...this.#options, from: "state", after });
    this.#connection = connection;
    connection.onevent = (event) => this.#take(event);
    connection.onopen = () => this.#tell("open");
    connection.onreset = ({ detail }) => this.#reset(detail);
    connection.onerror = ({ detail }) => this.#tell("error", detail);
    connection.onclosed = ({ detail }) => {
      if (connection !== this.#connection) return;
      this.#settle.reject(new Error(`state: ${detail.reason}`, { cause: detail }));
      this.#tell("closed", detail);
    };
  }

  #take(event) {
    const { type, topic, key = "", data, lastEventId: id = event.id, time } = event;
    if (type === "tidings.state") this.#complete();
    else if (type === "tidings.removed") this.#change(JSON.parse(data));
    else if (topic !== undefined && isOfState(key, type)) {
      const text = event.whole === false ? this.#grown(event) : data;
      this.#change({ topic, key, text, type, id, time: new Date(time) });
    }
  }

  /**
   * The text of a value to which a piece is added; undefined if the value is not there: it is no
   * part of the state once retention has dropped its beginning.
   */
  #grown({ topic, key, data, at }) {
    const before = (this.#coming ?? this.#slots).get(nameOf(topic, key))?.text;
    if (before === undefined) return undefined;
    return at === undefined ? before + data : joined(before, data, at);
  }

  /** A slot has another value, or, without a text, none any more. */
  #change({ text, ...slot }) {
    const name = nameOf(slot.topic, slot.key);
    if (this.#coming) {
      if (text === undefined) this.#coming.delete(name);
      else this.#coming.set(name, { ...slot, text });
      return;
    }
    const before = this.#slots.get(name);
    if (text === before?.text) return;
    const value = text === undefined ? undefined : this.#parse(text);
    if (text === undefined) this.#slots.delete(name);
    else this.#slots.set(name, { ...slot, text, value });
    if (this.#isReady) this.#tell("change", { ...slot, value, before: before?.value });
  }

  /** All of the state is here: what has come of it is shown at once. */
  #complete() {
    const coming = this.#coming;
    this.#coming = undefined;
    if (coming) {
      for (const [name, { topic, key }] of [...this.#slots]) {
        if (!coming.has(name)) this.#change({ topic, key });
      }
      for (const slot of coming.values()) this.#change(slot);
    }
    if (this.#isReady) return;
    this.#isReady = true;
    this.#settle.resolve(this);
    this.#tell("ready");
  }

  /** What is shown may be wrong. It stays until all of the state is here, which comes next. */
  #reset({ reason, topic }) {
    if (topic === undefined) {
      this.#coming = new Map();
      if (reason === "unread") this.#again();
      return;
    }
    // One topic was erased, and nothing else.
    for (const slot of [...(this.#coming ?? this.#slots).values()]) {
      if (slot.topic === topic) this.#change({ topic, key: slot.key });
    }
  }

  /** Asks for the state from its beginning. */
  #again() {
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.close();
    this.#coming = new Map();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), AGAIN_MS);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Neither topics nor keys contain line ends. */
function nameOf(topic, key) {
  return `${topic}\n${key}`;
}

/** The newest piece, with its string at this JSON pointer added to the one in the value before. */
function joined(before, piece, at) {
  const names = at.split("/").slice(1);
  const path = names.map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
  const last = path.pop();
  const [old, value] = [JSON.parse(before), JSON.parse(piece)];
  if (last === undefined) return JSON.stringify(old + value);
  const inside = (root) => path.reduce((place, name) => place[name], root);
  inside(value)[last] = inside(old)[last] + inside(value)[last];
  return JSON.stringify(value);
}
