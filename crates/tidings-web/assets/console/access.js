// Signing in and out, what the grant allows, and a link that passes on a part of it.

import { hub } from "./hub.js";

const NEEDS_TOKEN = "This hub needs a token or a key.";

const ENDED = "Your session has ended. Sign in again.";

/** What the hub says about a link that it cannot make is about tokens; these say it of a link. */
const NO_LINK = { not_found: "This hub makes no links: it has no sessions." };

export class Access {
  #element;
  #changed;

  /** `element(id)` finds the page's elements; `changed()` is called when somebody else is in. */
  constructor(element, changed) {
    this.#element = element;
    this.#changed = changed;
    element("access-open").addEventListener("click", () => this.#show(element("access").hidden));
    element("sign-in").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#signIn(element("token").value.trim());
    });
    element("sign-out").addEventListener("click", () => this.#signOut());
    element("share").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#share();
    });
    element("share-copy").addEventListener("click", () => this.#copy());
  }

  /** Whoever was signed in before the page was loaded still is, until their session ends. */
  async begin() {
    await hub.recall().catch(() => {});
    this.#draw();
  }

  /** Shows the form, and says why; it gets the focus unless somebody is typing elsewhere. */
  ask({ status, code, message }) {
    let why = `Not allowed: ${message}.`;
    if (status === 401) {
      if (hub.session || code === "session_expired") why = ENDED;
      else why = hub.token ? `The hub does not accept this token: ${message}.` : NEEDS_TOKEN;
      hub.forget();
    }
    this.#draw();
    this.#show(true, why);
  }

  /** There are things that need a token, so signing in makes sense. */
  offer() {
    this.#element("access-open").hidden = false;
  }

  #show(isShown, why = "") {
    const element = this.#element;
    element("access").hidden = !isShown;
    element("access-open").setAttribute("aria-expanded", String(isShown));
    element("access-why").textContent = why;
    if (isShown) this.offer();
    const first = element(hub.isSignedIn ? "share-topics" : "token");
    if (isShown && !document.activeElement?.matches("input, textarea")) first.focus();
  }

  #draw() {
    const element = this.#element;
    const { session, isSignedIn } = hub;
    element("access-open").textContent = isSignedIn ? "Signed in" : "Sign in";
    if (isSignedIn) this.offer();
    element("sign-in").hidden = isSignedIn;
    element("signed-in").hidden = !isSignedIn;
    element("share").hidden = !session?.subscribe.length;
    element("share-made").hidden = true;
    element("access-kept").hidden = !isSignedIn || Boolean(session);
    element("grant").hidden = !session;
    if (!session) return;
    const list = (topics) => topics.join(", ") || "nothing";
    element("grant-who").textContent = session.key
      ? `the key “${session.key}”`
      : (session.sub ?? "a token without `sub`");
    element("grant-read").textContent = list(session.subscribe);
    element("grant-publish").textContent = list(session.publish);
    element("grant-operate").textContent = list(session.operate);
    const until = new Date(session.expires);
    element("grant-until").textContent = until.toLocaleTimeString([], { timeStyle: "short" });
    element("share-topics").value = session.subscribe[0] ?? "";
  }

  async #signIn(token) {
    const element = this.#element;
    try {
      await hub.signIn(token);
    } catch (error) {
      const isToken = error.status === 401;
      const prefix = isToken ? "The hub does not accept this token: " : "";
      element("access-why").textContent = `${prefix}${error.message}.`;
      element("token").select();
      return;
    }
    element("token").value = "";
    this.#draw();
    this.#show(false);
    this.#changed();
  }

  async #signOut() {
    try {
      await hub.signOut();
    } catch (error) {
      this.#element("access-why").textContent = `Not signed out: ${error.message}.`;
      return;
    }
    this.#draw();
    this.#show(false);
    this.#changed();
  }

  async #share() {
    const element = this.#element;
    const query = new URLSearchParams({ for: element("share-for").value });
    for (const topic of topicsIn(element("share-topics").value)) query.append("topic", topic);
    element("share-made").hidden = true;
    element("access-why").textContent = "";
    try {
      const { link, expires } = await hub.ask(`/links?${query}`, { method: "POST" });
      const until = new Date(expires).toLocaleTimeString([], { timeStyle: "medium" });
      element("share-link").value = location.origin + link;
      element("share-until").textContent = `Good until ${until}, for everybody who has it.`;
      element("share-made").hidden = false;
    } catch (error) {
      element("access-why").textContent = NO_LINK[error.code] ?? `No link: ${error.message}.`;
    }
  }

  async #copy() {
    const [link, button] = ["share-link", "share-copy"].map((id) => this.#element(id));
    try {
      await navigator.clipboard.writeText(link.value);
      button.textContent = "Copied";
    } catch {
      link.select();
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 2000);
  }
}

/** Topics and patterns as people type them into one field. */
export function topicsIn(text) {
  return text.split(/[\s,]+/).filter(Boolean);
}
