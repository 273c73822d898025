// The events that the tail shows: of any type, each with its topic, over the connection that all
// consoles and demo pages of this browser share.

import { connect } from "/tidings.js";
import { hub } from "./hub.js";

/** Events kept, newest first; what the tail can show and the filter can search. */
export const KEPT = 300;

/** Events of history to begin with. */
const FIRST = 100;

export class Feed {
  events = [];
  /** Number of events since the beginning. */
  count = 0;
  #tell;
  #connection;

  /** `tell(what, detail)`: "events", or what happened to the connection. */
  constructor(topics, tell) {
    this.#tell = tell;
    this.#connection = connect("", {
      topics,
      last: FIRST,
      multiplex: true,
      token: hub.token || undefined,
      session: hub.sessionName,
    });
    let last = "";
    this.#connection.onevent = ({ type, topic, data, time, lastEventId }) => {
      last = lastEventId;
      this.#add({ id: lastEventId, topic, type, data, at: time ?? new Date() });
    };
    this.#connection.onopen = () => this.#tell("open");
    this.#connection.onerror = ({ detail }) => {
      if (detail.reason !== "token refused") this.#tell("lost");
    };
    this.#connection.onresumed = () => this.#tell("resumed", last);
    this.#connection.onreset = ({ detail }) => this.#tell("reset", detail);
    this.#connection.onclosed = ({ detail }) => {
      const { reason, status, problem } = detail;
      if (reason === "ended") this.#tell("closed");
      else
        this.#tell("refused", { status, code: problem?.code, message: problem?.detail ?? reason });
    };
  }

  close() {
    this.#tell = () => {};
    this.#connection.close();
  }

  #add(event) {
    this.count += 1;
    this.events.unshift(event);
    if (this.events.length > 2 * KEPT) this.events.length = KEPT;
    this.#tell("events");
  }
}
