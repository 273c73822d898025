/** Options of a connection. One that cannot be meant is a `TypeError` at once. */
export interface ConnectOptions {
  /** Topics or patterns (`*` is one segment, a last `**` the rest). None: all that may be read. */
  topics?: string | string[];
  /** Number of past events to begin with. */
  last?: number;
  /** Begin after the event with this id. */
  after?: string;
  /**
   * Begin with all that is kept (`start`), with the next event (`now`, the default), after an id, or with
   * the `state`: the newest event of each key, then an event of type `tidings.state`, then what comes.
   * `tidings-state.js` makes a map of it.
   */
  from?: "start" | "now" | "state" | (string & {});
  /**
   * Share one stream with all connections to this hub that have `multiplex`, whatever their topics. For
   * topics that do not end: such a stream ends when the topics of all its connections have.
   */
  multiplex?: boolean;
  /**
   * A token for the `Authorization` header: printable ASCII without spaces. A function is called at the
   * start, and again with the hub's problem details when the hub refuses the token; the connection is
   * closed if it then gives none, or the same again. A function that throws, rejects, or does not settle
   * within 30 seconds is an `error` with the reason `no token`, and is called again after a wait. It is
   * also called without a problem when the hub says that the token is about to expire, and the stream
   * goes on with what it returns; a failure is then no `error`, and the call is repeated. A connection is
   * shared by tabs whose tokens have the same claims apart from `iat`, `nbf`, `exp` and `jti`.
   */
  token?: string | ((problem?: unknown) => string | undefined | Promise<string | undefined>);
  /** Send cookies to a hub of another origin. */
  withCredentials?: boolean;
  /** The name of the hub's session whose cookie counts, where a page started one with a name. */
  session?: string;
  /** Where to read the stream, at best; the next of these where that is not possible. Default: `"shared"`. */
  worker?: "shared" | "dedicated" | "page";
  /** Silence of the worker after which it is replaced, in milliseconds. At least 300; default 12,000. */
  patience?: number;
}

export interface ResetDetail {
  /** Why events may have been missed. `unread`: history could not be fetched. */
  reason: "expired" | "unknown" | "replaced" | "unread";
  requested?: string;
  first?: string;
}

export interface ClosedDetail {
  /**
   * - `ended`: the topic has ended.
   * - `refused`: the hub refused the request; `status` and `problem` say why.
   * - `not an event stream`: the answer was something else, such as a login page.
   * - `event too large`: an event had more than 16 Mi characters.
   * - `closed here`: by `close()`.
   */
  reason: "ended" | "refused" | "not an event stream" | "event too large" | "closed here";
  status?: number;
  /** With `not an event stream`: the media type of the answer, or `""`. */
  contentType?: string;
  /** With `not an event stream`: where the request was redirected to, without its query. */
  redirectedTo?: string;
  /** The hub's problem details (RFC 9457). */
  problem?: { code: string; title: string; detail: string };
}

export interface ErrorDetail {
  /**
   * - `connection lost`: it broke, or the answer was a `status` that may change (408, 425, 429, 5xx).
   * - `no token`: the `token` function failed; `error` says how.
   * - `token refused`: the hub refused it (401); the `token` function is called.
   * - `worker lost`: the worker died or hangs; another takes its place.
   */
  reason: "connection lost" | "no token" | "token refused" | "worker lost";
  status?: number;
  error?: string;
}

interface LifeEvents {
  /** The stream is open (again). */
  open: CustomEvent<undefined>;
  /** It continues where it broke off; nothing was missed. */
  resumed: CustomEvent<{ lastEventId: string }>;
  /** It continues, but events may have been missed: reload what you show. */
  reset: CustomEvent<ResetDetail>;
  /** It is lost, and will be opened again. */
  error: CustomEvent<ErrorDetail>;
  /** It is over, and will not be opened again. */
  closed: CustomEvent<ClosedDetail>;
}

/** An event of the hub. */
export interface TopicEvent extends MessageEvent<string> {
  /** The topic it was published to; `undefined` where a server does not say it. */
  readonly topic: string | undefined;
  /** When the hub stored it. */
  readonly time: Date | undefined;
  /** The key, of an event that has one. */
  readonly key: string | undefined;
  /** Whether the data is all of the key's value, or a piece that is added to it. */
  readonly whole: boolean | undefined;
  /** Of a piece: a JSON pointer to the string that grows, if it is not all of the text. */
  readonly at: string | undefined;
}

type Handler<E> = ((this: Connection, event: E) => void) | null;

/**
 * A stream of events. A type that is no member of `LifeEvents` is a type of the hub's events; an event
 * without a type is a `message`.
 */
export class Connection extends EventTarget {
  readonly url: string;
  readonly readyState: 0 | 1 | 2;
  readonly lastEventId: string;
  readonly host: "shared" | "dedicated" | "page" | undefined;
  /** Is called with every event of the hub, whatever its type, also if that is one of `LifeEvents`. */
  onevent: Handler<TopicEvent>;
  onmessage: Handler<TopicEvent>;
  onopen: Handler<LifeEvents["open"]>;
  onresumed: Handler<LifeEvents["resumed"]>;
  onreset: Handler<LifeEvents["reset"]>;
  onerror: Handler<LifeEvents["error"]>;
  onclosed: Handler<LifeEvents["closed"]>;
  addEventListener<K extends keyof LifeEvents>(
    type: K,
    listener: (this: Connection, event: LifeEvents[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: (this: Connection, event: TopicEvent) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  close(): void;
}

/** Opens a connection to the hub at `url`; `""` is the page's own origin. */
export function connect(url?: string, options?: ConnectOptions): Connection;

/**
 * The event stream format, for other transports: takes text in pieces of any size, as `TextDecoder` makes
 * it with `stream: true`. `push` throws a `RangeError` if an event has more than 16 Mi characters.
 */
export class EventBlocks {
  constructor(other?: (field: string, value: string) => void);
  dispatch: (block: { type?: string; data?: string; id?: string }) => void;
  push(text: string): void;
}
