// The hub's public API, with the token of this tab if there is one.

const KEY = "tidings token";

/** The claim's other name. */
const NAMESPACED = "https://mercure.rocks/";

export const hub = {
  get token() {
    return sessionStorage.getItem(KEY) ?? "";
  },

  set token(token) {
    if (token) sessionStorage.setItem(KEY, token);
    else sessionStorage.removeItem(KEY);
  },

  /** Topics that the token says it may read; none if it does not say, or may read everything. */
  get granted() {
    const claims = claimsOf(this.token);
    const { subscribe } = claims?.mercure ?? claims?.[NAMESPACED] ?? {};
    if (!Array.isArray(subscribe) || subscribe.some((one) => ["*", "**"].includes(one))) return [];
    return subscribe.filter((one) => typeof one === "string");
  },

  /** Requests JSON. Fails with a `Refused` if the hub rejects the request, or does not answer. */
  async ask(path, { headers, ...options } = {}) {
    const request = fetch(path, {
      ...options,
      headers: {
        accept: "application/json",
        ...(this.token && { authorization: `Bearer ${this.token}` }),
        ...headers,
      },
      cache: "no-store",
    });
    // A browser's own words for this, such as "Failed to fetch", do not help.
    const answer = await request.catch(() => {
      throw new Refused(0, { detail: "the hub cannot be reached" });
    });
    if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => ({})));
    return answer.json();
  },

  /** The path of a topic: its slashes stay. */
  topic(name) {
    return `/events/${name.split("/").map(encodeURIComponent).join("/")}`;
  },
};

/** The claims of a JSON Web Token; a key has none. */
function claimsOf(token) {
  try {
    return JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
  } catch {
    return undefined;
  }
}

/** The hub's problem details (RFC 9457). */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `status ${status}`);
    this.status = status;
    this.code = problem.code;
  }
}
