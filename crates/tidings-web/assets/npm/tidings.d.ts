/** What a connection is told once. */
export interface ConnectOptions {
  /** Topics or patterns (`*` is one segment, a last `**` the rest). None: all that may be read. */
  topics?: string | string[];
  /** Begin with so many past events. */
  last?: number;
  /** Begin after the event with this id. */
  after?: string;
  /**
   * A token for the `Authorization` header. The stream is then read by `fetch`, for `EventSource` cannot set
   * headers. A function is called at the start, and again with the hub's problem details when the hub
   * refuses the token; the connection is closed if it then gives none.
   */
  token?: string | ((problem?: unknown) => string | undefined | Promise<string | undefined>);
  /** Send cookies to a hub of another origin. */
  withCredentials?: boolean;
  /** Where to read the stream, at best; what cannot be had falls back to the next. `"shared"` unless set. */
  worker?: "shared" | "dedicated" | "page";
  /** Longest silence of the worker before it is taken for dead, in milliseconds; 12,000 unless set. */
  patience?: number;
}

export interface ResetDetail {
  /** Why events may have been missed. `unread`: history could not be fetched. */
  reason: "expired" | "unknown" | "replaced" | "unread";
  requested?: string;
  first?: string;
}

export interface ClosedDetail {
  /** `ended`: the topic is over. `refused`: the hub said no. */
  reason: "ended" | "refused" | "closed here";
  status?: number;
  /** The hub's problem details (RFC 9457). */
  problem?: { code: string; title: string; detail: string };
}

interface LifeEvents {
  /** The stream is there (again). */
  open: CustomEvent<undefined>;
  /** It goes on where it was broken off; nothing was missed. */
  resumed: CustomEvent<{ lastEventId: string }>;
  /** It goes on, but events may have been missed: read anew what you show. */
  reset: CustomEvent<ResetDetail>;
  /** It is lost, and will be opened again. */
  error: CustomEvent<{ reason: string; status?: number }>;
  /** It is over, and nobody will open it again. */
  closed: CustomEvent<ClosedDetail>;
}

/**
 * A stream of events. Types that are no member of `LifeEvents` are types of the hub's events; an event that
 * names no type is a `message`.
 */
export class Connection extends EventTarget {
  readonly url: string;
  readonly readyState: 0 | 1 | 2;
  readonly lastEventId: string;
  readonly host: "shared" | "dedicated" | "page" | undefined;
  addEventListener<K extends keyof LifeEvents>(
    type: K,
    listener: (this: Connection, event: LifeEvents[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: (this: Connection, event: MessageEvent<string>) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  close(): void;
}

/** Opens a connection to the hub at `url`; `""` is the page's own origin. */
export function connect(url?: string, options?: ConnectOptions): Connection;

/** The event stream format, for those who bring their own transport. */
export class EventBlocks {
  constructor(other?: (field: string, value: string) => void);
  dispatch: (block: { type?: string; data?: string; id?: string }) => void;
  push(text: string): void;
}
