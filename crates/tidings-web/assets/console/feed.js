// The events that the tail shows, from two forms of one URL.
//
// The browser's EventSource reports an event at once, but not its topic, and only types that have
// listeners. So, at most twice a second, a page of history (the same URL as JSON) fills in topic
// and time, and brings events of unknown types, which get listeners from then on.

import { hub } from "./hub.js";

/** Events kept, newest first; what the tail can show and the filter can search. */
export const KEPT = 300;

const LOOK_MS = 500;

export class Feed {
  events = [];
  /** Number of events since the beginning. */
  count = 0;
  #topics;
  #tell;
  #source;
  #types;
  #byId = new Map();
  #incomplete = 0;
  #wasOpen = false;
  #looking = false;
  #timer;
  #head;
  #last = "";
  #fresh = false;

  /** `tell(what, detail)`: "events", or what happened to the connection. */
  constructor(topics, tell) {
    this.#topics = topics;
    this.#tell = tell;
    this.#types = new Set();
    this.#begin();
  }

  async #begin() {
    try {
      const page = await hub.ask(hub.events(this.#topics, { last: 100, limit: 100 }));
      this.#take(page, true);
      this.#open(page.next);
    } catch (error) {
      this.#tell("refused", error);
    }
  }

  #open(after) {
    this.#source = hub.source(this.#topics, { after });
    this.#source.onopen = () => {
      const again = this.#wasOpen;
      this.#wasOpen = true;
      // If the hub lost our place, the stream begins with `tidings.reset`; otherwise it continues
      // where it was.
      this.#fresh = again;
      this.#tell("open");
      if (again) setTimeout(() => this.#resumed(), 300);
    };
    this.#source.onerror = () => {
      this.#tell(this.#source.readyState === EventSource.CLOSED ? "closed" : "lost");
    };
    this.#source.addEventListener("tidings.reset", ({ data, lastEventId }) => {
      this.#fresh = false;
      this.#last = lastEventId;
      this.#tell("reset", JSON.parse(data));
    });
    for (const type of ["message", "end", ...this.#types]) this.#listen(type, true);
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  /** The hub's newest id: if it moved and nothing came, there may be types without listeners. */
  set head(id) {
    if (this.#head && this.#head !== id) this.#incomplete += 1;
    this.#head = id;
  }

  close() {
    clearInterval(this.#timer);
    this.#source?.close();
    this.#tell = () => {};
  }

  #resumed() {
    if (this.#fresh) this.#tell("resumed", this.#last);
    this.#fresh = false;
  }

  #listen(type, first = false) {
    if (this.#types.has(type) && !first) return;
    this.#types.add(type);
    this.#source?.addEventListener(type, (event) => {
      this.#resumed();
      this.#add({ id: event.lastEventId, type, data: event.data, at: new Date() });
      this.#incomplete += 1;
    });
  }

  #add(event) {
    if (this.#byId.has(event.id)) return;
    this.#last = event.id;
    this.count += 1;
    this.#byId.set(event.id, event);
    this.events.unshift(event);
    if (this.events.length > 2 * KEPT) {
      for (const old of this.events.splice(KEPT)) this.#byId.delete(old.id);
    }
    this.#tell("events");
  }

  async #look() {
    if (this.#looking || !this.#incomplete) return;
    this.#looking = true;
    this.#incomplete = 0;
    try {
      // After the newest complete event; if too many came since, only the newest.
      const whole = this.events.findIndex((event) => event.topic !== undefined);
      const far = whole < 0 || whole >= KEPT;
      const start = far ? { last: KEPT } : { after: this.events[whole].id };
      this.#take(await hub.ask(hub.events(this.#topics, { ...start, limit: 1000 })));
    } catch {
      // The stream will report what happened to the hub.
    } finally {
      this.#looking = false;
    }
  }

  #take(page, begin = false) {
    let added = false;
    for (const { id, topic, event: type, data, time } of page.events) {
      const known = this.#byId.get(id);
      const at = new Date(time);
      if (known) {
        Object.assign(known, { topic, at });
        continue;
      }
      if (begin || !this.#types.has(type)) {
        this.#add({ id, topic, type, data, at });
        added = true;
      }
      if (!type.startsWith("tidings.")) this.#listen(type, begin);
    }
    if (added) this.events.sort((a, b) => b.at - a.at || place(b) - place(a));
    this.#tell("events");
  }
}

/** The number in an id made by the hub. */
function place(event) {
  return Number(event.id.slice(event.id.indexOf(":") + 1)) || 0;
}
