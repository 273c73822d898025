// A Laravel 13 application as far as the hub sees it: what `MercureBroadcaster` answers to Echo,
// and what it publishes. The facts are those of laravel/framework and symfony/mercure, the code is
// ours.

import { createHmac, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, equal } from "../../browser/harness.js";
import { SECRET } from "../mercure.js";

export const ISSUER = "https://laravel.example";
const PREFIX = "https://laravel.alt/echo/";
const PATH = "/.well-known/mercure";
const LIFETIME = 300;

const encode = (name) =>
  encodeURIComponent(name).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
export const channelTopic = (name) => `${PREFIX}channel/${encode(name)}`;
const whisperTopic = (name) => `${PREFIX}whisper/${encode(name)}`;
const isGuarded = (name) => /^(private|presence)-/.test(name);

/** An access token of RFC 9068 with what it grants. */
function accessToken(audience, grants, claims = {}) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const detail = ({ actions, exact = [], urlpattern = [], payload }) => ({
    type: "https://mercure.rocks/authorization-detail",
    actions,
    topics: [
      ...exact.map((match) => ({ match, match_type: "exact" })),
      ...urlpattern.map((match) => ({ match, match_type: "urlpattern" })),
    ],
    payload,
  });
  const body = {
    iss: ISSUER,
    aud: audience,
    client_id: "laravel",
    iat: now,
    jti: randomUUID(),
    exp: now + LIFETIME,
    authorization_details: grants.map(detail),
    ...claims,
  };
  const text = `${part({ alg: "HS256", typ: "at+jwt" })}.${part(body)}`;
  return `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
}

/** What it grants to a user who is on these channels. */
function grants(user, names) {
  const guarded = names.filter(isGuarded);
  const private_ = guarded.filter((name) => name.startsWith("private-")).map(channelTopic);
  const presence = guarded.filter((name) => name.startsWith("presence-"));
  const all = presence.map((name) => ({
    actions: ["subscribe"],
    exact: [channelTopic(name)],
    urlpattern: [`${PATH}/subscriptions/:match_type/${encode(channelTopic(name))}{/:subscriber}?`],
    payload: user,
  }));
  if (private_.length) all.unshift({ actions: ["subscribe"], exact: private_ });
  const whispers = guarded.map(whisperTopic);
  if (whispers.length) all.push({ actions: ["subscribe", "publish"], exact: whispers });
  return all;
}

/**
 * Starts one. Whoever asks is the user that its cookie `user` or its header `x-user` names; user
 * `guest` is let into no guarded channel.
 */
export async function startApplication() {
  const application = { asked: [], hub: undefined, url: undefined };
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://x");
    if (pathname !== "/broadcasting/auth") return page(response, pathname);
    let text = "";
    for await (const piece of request) text += piece;
    const names = [...new Set(JSON.parse(text).channel_names)];
    const id = request.headers["x-user"] ?? /user=(\w+)/.exec(request.headers.cookie)?.[1];
    application.asked.push(names);
    const is_denied = names.length === 0 || names.length > 100;
    if (is_denied || (id === "guest" && names.some(isGuarded))) {
      return response.writeHead(403).end();
    }
    const token = application.token(grants({ id }, names), { sub: id });
    response.setHeader("content-type", "application/json");
    response.setHeader(
      "set-cookie",
      `__Secure-mercure_access_token=${token}; Max-Age=${LIFETIME}; Path=${PATH}; Secure; ` +
        "HttpOnly; SameSite=Strict",
    );
    response.end(
      JSON.stringify({
        channel_names: names.map((name) => ({ name })),
        expires_in: LIFETIME,
        topic_prefix: PREFIX,
        client_events: true,
      }),
    );
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  application.url = `http://127.0.0.1:${server.address().port}`;

  application.token = (grants, claims) =>
    accessToken(application.hub.mercure().split("?")[0], grants, claims);
  const publish = async (names, data, isPrivate) => {
    const token = application.token([{ actions: ["publish"], exact: ["*"] }]);
    const body = new URLSearchParams(names.map((name) => ["topic", channelTopic(name)]));
    body.append("data", JSON.stringify(data));
    if (isPrivate) body.append("private", "on");
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(application.hub.mercure(), { method: "POST", body, headers });
    equal(answer.status, 200, await answer.text());
  };
  /** `broadcast(new Event)`: public channels in one update, each guarded one in its own. */
  application.broadcast = async (names, event, payload, socket) => {
    const open = names.filter((name) => !isGuarded(name));
    if (open.length) await publish(open, { channels: open, event, payload, socket }, false);
    for (const name of names.filter(isGuarded)) {
      const sealed = name.startsWith("private-encrypted-");
      const data = sealed ? { data: payload } : { event, payload, socket };
      await publish([name], { channels: [name], ...data }, true);
    }
  };
  return application;
}

const SCRIPTS = {
  "/echo.js": new URL("../node_modules/laravel-echo/dist/echo.js", import.meta.url),
  "/connector.js": new URL("connector.js", import.meta.url),
};

function page(response, path) {
  const script = SCRIPTS[path];
  response.setHeader("content-type", `text/${script ? "javascript" : "html"}; charset=utf-8`);
  response.end(script ? readFileSync(script) : "<!doctype html><title>Laravel</title>");
}
