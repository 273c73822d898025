// Bounded waits.

import { WAIT_MS_MAX } from "./limits.js";

/** The result of a promise, or an error if it takes longer. */
export function within(ms, promise) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(reject, ms, new Error(`no answer within ${ms / 1000} s`));
    Promise.resolve(promise).then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** A wait in milliseconds that doubles with each failure after the first; at least `base`. */
export function backoff(base, failures) {
  return Math.max(base, Math.min((base * 2 ** failures) / 2, WAIT_MS_MAX));
}

/**
 * Waits; for ever once the signal is aborted, so that what waits is forgotten without another step.
 * The signal belongs to one loop: it has one `onabort`.
 */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = signal.aborted || setTimeout(resolve, ms);
    signal.onabort = () => clearTimeout(timer);
  });
}
