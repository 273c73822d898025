// Constants that page and worker share, and every bound.

/** Values of `readyState`, the same as those of EventSource. */
export const CONNECTING = 0;
export const OPEN = 1;
export const CLOSED = 2;

/** Silence of a worker, in milliseconds, after which a page considers it dead. */
export const PATIENCE_MS = 12_000;

/** Minimum `patience`, in milliseconds. */
export const PATIENCE_MS_MIN = 300;

/** Times that a page pings the worker in that time. */
export const PINGS = 3;

/** Silence of a page, in milliseconds, after which it is gone; hidden pages ping once a minute. */
export const MEMBER_SILENCE_MS = 200_000;

/** Longest time for a worker to start, in milliseconds. */
export const GREETING_MS = 4_000;

/** Names to try for a worker: one that hangs keeps its name. */
export const NAMES_MAX = 2;

/** Reconnection time until the stream sets one with `retry`, in milliseconds. */
export const RETRY_MS = 3_000;

/** Bounds of a reconnection time that the stream sets, in milliseconds. The longest is a day. */
export const RETRY_MS_MIN = 100;
export const RETRY_MS_MAX = 24 * 60 * 60 * 1000;

/** Longest wait between attempts unless the stream sets one, in milliseconds. */
export const WAIT_MS_MAX = 30_000;

/** Longest wait for the head of a response, in milliseconds. */
export const ANSWER_MS = 60_000;

/** Longest wait for the page's `token` function, in milliseconds. */
export const TOKEN_MS = 30_000;

/** Time in which connections that are opened together become one request, in milliseconds. */
export const WIDEN_MS = 20;

/** Time after which a stream leaves out topics that nobody wants any more, in milliseconds. */
export const NARROW_MS = 5_000;

/** Events of history read at once. */
export const PAGE_EVENTS = 1000;

/** Live events held back for a tab that still reads history. With more, history is read again. */
export const HELD_EVENTS_MAX = 10_000;

/** Longest event, in characters: no hub can be configured to accept a longer one. */
export const EVENT_CHARS_MAX = 16 * 1024 * 1024;

/** Longest problem that is read from a rejection, in characters. */
export const PROBLEM_CHARS_MAX = 64 * 1024;
