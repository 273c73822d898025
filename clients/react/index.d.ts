import type { ClosedDetail, ConnectOptions, Connection, ErrorDetail, TopicEvent } from "@tidings-hub/tidings";
import type { StateOptions } from "@tidings-hub/tidings/state";

/** Options of `connect`; with `topics: null` nothing is opened. */
export type HookOptions = Omit<ConnectOptions, "topics"> & { topics?: string | string[] | null };

export interface ConnectionState {
  /**
   * - `idle`: not mounted yet, rendered on a server, or `topics` is `null`.
   * - `connecting`: for the first time.
   * - `open`: events come as they are published.
   * - `lost`: the connection broke, and is opened again; `detail` says why.
   * - `closed`: it is over; `detail` says why.
   */
  status: "idle" | "connecting" | "open" | "lost" | "closed";
  detail: ErrorDetail | ClosedDetail | undefined;
  /** Where the stream is read. */
  host: Connection["host"];
}

/** Functions that are called with what happens; the latest ones of each rendering. */
export type Handlers = Partial<
  Pick<Connection, "onevent" | "onopen" | "onresumed" | "onreset" | "onerror" | "onclosed">
>;

/** Listens while the component is mounted. */
export function useConnection(url: string, options?: HookOptions, handlers?: Handlers): ConnectionState;

/** The latest events, the newest last; at most `keep` of them (100). After a reset it begins again. */
export function useEvents(
  url: string,
  options?: HookOptions & { keep?: number },
): { events: TopicEvent[]; status: ConnectionState["status"]; detail: ConnectionState["detail"] };

export interface LiveState<V> {
  /** Key to value; `""` is the key of events without one. With several topics use `entries`. */
  values: ReadonlyMap<string, V>;
  /** Key, value and topic of all that is there. */
  entries: readonly [key: string, value: V, topic: string][];
  /** Whether all of it is here: until then it is empty, and it is never half of a state. */
  isReady: boolean;
  status: ConnectionState["status"];
  detail: ConnectionState["detail"];
}

/** What each key of some topics stands for now; both collections are others when something changed. */
export function useTidingsState<V = string>(
  url: string,
  options?: Omit<StateOptions<V>, "topics"> & { topics?: string | string[] | null },
): LiveState<V>;
