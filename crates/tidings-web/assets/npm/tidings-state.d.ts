import type { ClosedDetail, ConnectOptions, ErrorDetail } from "./tidings.js";

/** Options of `connect`, without those that say where to begin. */
export interface StateOptions<V> extends Omit<ConnectOptions, "from" | "last" | "after"> {
  /** Makes a value of the text that a key stands for, such as `JSON.parse`. Default: the text. */
  parse?: (text: string) => V;
  /**
   * A page of this state to begin with, the answer to `GET /events?topic=…&from=state` with
   * `Accept: application/json`: what a server rendered is there at once, and only what changed
   * since is read.
   */
  page?: StatePage;
}

/** An event of a page. */
export interface StateEvent {
  topic: string;
  key?: string;
  data: string;
  event: string;
  id: string;
  time: string;
}

/** A page of a state, as the hub answers it. */
export interface StatePage {
  events: StateEvent[];
  /** The last events of topics that have ended, if there are any. */
  ends?: StateEvent[];
  next: string;
  complete?: boolean;
}

/** A key has another value, or, with `value` undefined, was removed. */
export interface Change<V> {
  topic: string;
  /** The key; `""` for events without a key, of which the last one counts. */
  key: string;
  value: V | undefined;
  before: V | undefined;
  /** Type, id and time of the event that did it; `undefined` for a removal. */
  type?: string;
  id?: string;
  time?: Date;
}

interface StateEvents<V> {
  /** The state is complete for the first time. */
  ready: CustomEvent<undefined>;
  /** A key has changed since. */
  change: CustomEvent<Change<V>>;
  /** The stream is open (again). */
  open: CustomEvent<undefined>;
  /** The stream is lost, and will be opened again; what is shown stays. */
  error: CustomEvent<ErrorDetail>;
  /** It is over; what is shown stays, and changes no more. */
  closed: CustomEvent<ClosedDetail>;
}

/**
 * What each key stands for now. It is empty until it is `ready`, and never half of a state: after a
 * reset the old one stays until all of the new one is here, and `change` then says what differs.
 */
export class State<V = string> extends EventTarget {
  /** Resolves when it is complete for the first time; rejects if it is closed before that. */
  readonly ready: Promise<State<V>>;
  readonly isReady: boolean;
  /** Number of keys, of all topics. */
  readonly size: number;
  /** The value of a key. With several topics, or a pattern, `topic` is needed. */
  get(key: string, topic?: string): V | undefined;
  has(key: string, topic?: string): boolean;
  /** Key, value and topic. `new Map(state)` is a copy of the state of one topic. */
  entries(): IterableIterator<[key: string, value: V, topic: string]>;
  keys(): IterableIterator<string>;
  values(): IterableIterator<V>;
  [Symbol.iterator](): IterableIterator<[key: string, value: V, topic: string]>;
  addEventListener<K extends keyof StateEvents<V>>(
    type: K,
    listener: (this: State<V>, event: StateEvents<V>[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  close(): void;
}

/** The state of some topics of the hub at `url`; `""` is the page's own origin. */
export function state<V = string>(url: string, options?: StateOptions<V>): State<V>;

/** Key, value and topic of all that a page holds, for a server that renders. */
export function entriesOf<V = string>(
  page: StatePage,
  parse?: (text: string) => V,
): [key: string, value: V, topic: string][];
