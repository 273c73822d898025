// The hub's public API, with the token of this tab if there is one.

const KEY = "tidings token";

export const hub = {
  get token() {
    return sessionStorage.getItem(KEY) ?? "";
  },

  set token(token) {
    if (token) sessionStorage.setItem(KEY, token);
    else sessionStorage.removeItem(KEY);
  },

  /** Requests JSON. Fails with a `Refused` if the hub rejects the request. */
  async ask(path, { headers, ...options } = {}) {
    const answer = await fetch(path, {
      ...options,
      headers: {
        accept: "application/json",
        ...(this.token && { authorization: `Bearer ${this.token}` }),
        ...headers,
      },
      cache: "no-store",
    });
    if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => ({})));
    return answer.json();
  },

  /** The path of a topic: its slashes stay. */
  topic(name) {
    return `/events/${name.split("/").map(encodeURIComponent).join("/")}`;
  },
};

/** The hub's problem details (RFC 9457). */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `status ${status}`);
    this.status = status;
    this.code = problem.code;
  }
}
