// A connector for Laravel Echo that sends the requests of Echo's own Mercure connector, which its
// repository has and its npm package (2.5.0) does not yet: one authorization for all channels, one
// stream for all of them, presence from the hub's subscriptions, whispers on topics of their own.
// Written for these tests from what goes over the wire; when the package brings its own, this can
// go.

const MATCHES_MAX = 100;

/** The class to give to Echo as `broadcaster`, made of what the package exports. */
export function mercureConnector({ Connector, Channel, EventFormatter }) {
  class MercureChannel extends Channel {
    members = new Map();
    #listeners = [];
    #formatter;

    constructor(name, connector) {
      super();
      this.name = name;
      this.connector = connector;
      this.#formatter = new EventFormatter(connector.options.namespace);
    }

    on(type, callback) {
      this.#listeners.push([type, callback]);
      return this;
    }

    fire(type, value) {
      for (const [wanted, callback] of this.#listeners) if (wanted === type) callback(value);
    }

    listen(event, callback) {
      return this.on(`event ${this.#formatter.format(event)}`, callback);
    }

    listenForWhisper(event, callback) {
      this.connector.hearWhispers(this.name);
      return super.listenForWhisper(event, callback);
    }

    whisper(event, payload) {
      this.connector.whisper(this.name, event, payload);
      return this;
    }

    subscribed = (callback) => this.on("subscribed", callback);
    error = (callback) => this.on("error", callback);
    here = (callback) => this.on("here", callback);
    joining = (callback) => this.on("joining", callback);
    leaving = (callback) => this.on("leaving", callback);

    /** A member's subscription has begun or ended; a user with two tabs is one member. */
    see({ subscriber, active, payload }) {
      const known = this.members.get(subscriber);
      const count = (user) => [...this.members.values()].filter((other) => other === user).length;
      if (active && payload && !known) {
        const user = JSON.stringify(payload);
        this.members.set(subscriber, user);
        if (count(user) === 1) this.fire("joining", payload);
      } else if (!active && known) {
        this.members.delete(subscriber);
        if (count(known) === 0) this.fire("leaving", JSON.parse(known));
      }
    }
  }

  return class MercureConnector extends Connector {
    channels = {};
    id = crypto.randomUUID();
    lastEventId = "";
    #source;
    #whispers = new Map();
    #heard = new Set();
    #prefix = "";
    #refreshing = false;
    #again = false;
    #waiting;

    connect() {} // the first channel does

    channel = (name) => this.#join(name);
    privateChannel = (name) => this.#join(`private-${name}`);
    presenceChannel = (name) => this.#join(`presence-${name}`);
    socketId = () => this.id;
    connectionStatus = () => (this.#source?.readyState === 1 ? "connected" : "connecting");
    onConnectionChange = () => () => {};

    leave(name) {
      for (const prefix of ["", "private-", "presence-"]) this.leaveChannel(prefix + name);
    }

    leaveChannel(name) {
      if (!this.channels[name]) return;
      delete this.channels[name];
      this.#refresh();
    }

    disconnect() {
      this.channels = {};
      clearTimeout(this.#waiting);
      for (const source of [this.#source, ...this.#whispers.values()]) source?.close();
    }

    hearWhispers(name) {
      this.#heard.add(name);
      if (this.#source) this.#openWhispers();
    }

    async whisper(name, event, payload) {
      const envelope = { channels: [name], event: `client-${event}`, payload, socket: this.id };
      const body = new URLSearchParams({
        topic: this.#topic("whisper", name),
        data: JSON.stringify(envelope),
        private: "on",
      });
      const answer = await this.#fetch(this.options.host, { method: "POST", body });
      if (!answer.ok) this.channels[name]?.fire("error", `whisper: ${answer.status}`);
    }

    #join(name) {
      if (!this.channels[name]) {
        this.channels[name] = new MercureChannel(name, this);
        this.#refresh();
      }
      return this.channels[name];
    }

    #fetch(address, init) {
      return (this.options.fetch ?? fetch)(address, { credentials: "include", ...init });
    }

    #topic(kind, name) {
      const rest = (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`;
      return `${this.#prefix}${kind}/${encodeURIComponent(name).replace(/[!'()*]/g, rest)}`;
    }

    #presence() {
      return Object.values(this.channels).filter(({ name }) => name.startsWith("presence-"));
    }

    /** One after the other; what changes meanwhile is one more. */
    async #refresh() {
      this.#again = true;
      if (this.#refreshing) return;
      this.#refreshing = true;
      try {
        while (this.#again) {
          await null; // all that is joined in one go
          this.#again = false;
          await this.#open();
        }
      } catch (error) {
        for (const channel of Object.values(this.channels)) channel.fire("error", error.message);
        this.#comeBack();
      } finally {
        this.#refreshing = false;
      }
    }

    #comeBack() {
      clearTimeout(this.#waiting);
      this.#waiting = setTimeout(() => this.#refresh(), 1_000);
    }

    async #open() {
      const names = Object.keys(this.channels);
      if (names.length === 0) return this.#source?.close();
      if (names.length > MATCHES_MAX) throw new Error("too many channels");
      const answer = await this.#fetch(this.options.authEndpoint, {
        method: "POST",
        headers: { "content-type": "application/json", accept: "application/json" },
        body: JSON.stringify({ channel_names: names }),
      });
      if (!answer.ok) throw new Error(`authorization: ${answer.status}`);
      this.#prefix = (await answer.json()).topic_prefix;

      const hub = new URL(this.options.host);
      const address = new URL(hub);
      for (const name of names) address.searchParams.append("match", this.#topic("channel", name));
      for (const { name } of this.#presence()) {
        const words = encodeURIComponent(this.#topic("channel", name));
        const pattern = `${hub.pathname}/subscriptions/:match_type/${words}/:subscriber`;
        address.searchParams.append("match_urlpattern", pattern);
      }
      if (this.lastEventId) address.searchParams.set("last_event_id", this.lastEventId);

      this.#source?.close();
      const early = [];
      const source = this.#listen(address, (message) => this.#deliver(message, names));
      this.#source = source;
      let known = false;
      source.addEventListener("mercure", (event) => {
        this.lastEventId = event.lastEventId;
        const seen = JSON.parse(event.data);
        if (known) this.#see(seen);
        else early.push(seen);
      });
      source.addEventListener("open", async () => {
        for (const channel of Object.values(this.channels)) channel.fire("subscribed");
        await Promise.all(this.#presence().map((channel) => this.#takeStock(hub, channel)));
        known = true;
        early.splice(0).forEach((seen) => this.#see(seen));
      });
      this.#openWhispers();
    }

    #listen(address, deliver) {
      const { EventSource = globalThis.EventSource } = this.options;
      const source = new EventSource(`${address}`, { withCredentials: true });
      source.onmessage = deliver;
      source.onerror = () => source.readyState === 2 && this.#comeBack();
      return source;
    }

    #deliver({ data, lastEventId }) {
      this.lastEventId = lastEventId;
      const { channels = [], event, payload, socket, data: sealed } = JSON.parse(data);
      if (socket === this.id) return;
      for (const name of channels) {
        if (sealed) this.channels[name]?.fire("sealed", sealed);
        else this.channels[name]?.fire(`event ${event}`, payload);
      }
    }

    #see(seen) {
      if (seen.match_type !== "exact") return;
      const of = ({ name }) => this.#topic("channel", name) === seen.match;
      this.#presence().find(of)?.see(seen);
    }

    async #takeStock(hub, channel) {
      const words = encodeURIComponent(this.#topic("channel", channel.name));
      const answer = await this.#fetch(`${hub}/subscriptions/exact/${words}`);
      if (!answer.ok) return channel.fire("error", `snapshot: ${answer.status}`);
      const all = (await answer.json()).subscriptions.filter((one) => one.active && one.payload);
      const users = all.map(({ subscriber, payload }) => [subscriber, JSON.stringify(payload)]);
      channel.members = new Map(users);
      channel.fire("here", [...new Set(channel.members.values())].map((user) => JSON.parse(user)));
    }

    #openWhispers() {
      for (const name of this.#heard) {
        if (!this.channels[name] || this.#whispers.has(name)) continue;
        const address = new URL(this.options.host);
        address.searchParams.append("match", this.#topic("whisper", name));
        const source = this.#listen(address, ({ data }) => {
          const { channels, event, payload, socket } = JSON.parse(data);
          const is_ours = channels.length === 1 && channels[0] === name && socket !== this.id;
          if (is_ours) this.channels[name]?.fire(`event ${event}`, payload);
        });
        this.#whispers.set(name, source);
      }
    }
  };
}
