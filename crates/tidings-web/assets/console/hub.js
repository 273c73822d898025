// The hub's public API, as whoever is signed in.

/** The console's own session: no page of another origin can use its cookie. */
const NAME = "console";

/** Whoever leaves an open tab behind lends their rights for this long. */
const AGE = "1h";

export const hub = {
  /** What the hub says of the session of this browser; `undefined` without one. */
  session: undefined,

  /** A token that this page alone holds, where the browser or the hub keeps no session. */
  token: "",

  get isSignedIn() {
    return Boolean(this.session || this.token);
  },

  /** Topics that may be read; none if nobody says so, or all may be read. */
  get granted() {
    const topics = this.session?.subscribe ?? [];
    return topics.includes("**") ? [] : topics;
  },

  /** Asks the hub whether this browser has a session. */
  async recall() {
    const answer = await send(`/session?name=${NAME}`);
    this.session = answer.status === 200 ? await answer.json() : undefined;
  },

  /** Exchanges a token or a key for a session. */
  async signIn(token) {
    if (!/^[\x21-\x7e]+$/.test(token)) {
      throw new Refused(0, { detail: "a token or key is printable ASCII without spaces" });
    }
    const answer = await send(`/session?name=${NAME}&for=${AGE}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
    }).catch((error) => {
      if (error.status !== 404) throw error;
    });
    if (answer) await this.recall();
    this.token = this.session ? "" : token;
  },

  async signOut() {
    if (this.session) await send(`/session?name=${NAME}`, { method: "DELETE" });
    this.forget();
  },

  /** The session has ended, or the token is not accepted. */
  forget() {
    this.session = undefined;
    this.token = "";
  },

  /** The name of the session, for requests of which its cookie is to count. */
  get sessionName() {
    return this.session && NAME;
  },

  /** Requests JSON. Fails with a `Refused` if the hub rejects the request, or does not answer. */
  async ask(path, { headers, ...options } = {}) {
    const named = this.session ? `${path}${path.includes("?") ? "&" : "?"}session=${NAME}` : path;
    const authorization = this.token && { authorization: `Bearer ${this.token}` };
    const answer = await send(named, { ...options, headers: { ...authorization, ...headers } });
    return answer.json();
  },

  /** The path of a topic: its slashes stay. */
  topic(name) {
    return `/events/${name.split("/").map(encodeURIComponent).join("/")}`;
  },
};

async function send(path, { headers, ...options } = {}) {
  const answer = await fetch(path, {
    ...options,
    headers: { accept: "application/json", ...headers },
    cache: "no-store",
  }).catch(() => {
    // A browser's own words for this, such as "Failed to fetch", do not help.
    throw new Refused(0, { detail: "the hub cannot be reached" });
  });
  if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => ({})));
  return answer;
}

/** The hub's problem details (RFC 9457). */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `status ${status}`);
    this.status = status;
    this.code = problem.code;
  }
}
