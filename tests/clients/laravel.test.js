// Laravel's broadcasting over Mercure: npm's `laravel-echo` in Chromium and Node, and the requests
// of Laravel 13's `MercureBroadcaster`. Two things stand in for what cannot be installed: the
// package's Mercure connector is not in its published versions (2.5.0 is the last), so Echo is
// given one of ours that sends the same requests (`laravel/connector.js`), and the application is
// ours for want of Composer (`laravel/application.js`).

import Echo, { Channel, Connector, EventFormatter } from "laravel-echo";
import { EventSource } from "eventsource";
import { openBrowser, openPage } from "../browser/browser.js";
import { after, equal, ok, test, until } from "../browser/harness.js";
import { channelTopic, ISSUER, startApplication } from "./laravel/application.js";
import { mercureConnector } from "./laravel/connector.js";
import { startMercure } from "./mercure.js";

/** An application and its hub, with the settings that the guide gives. */
async function startLaravel() {
  const application = await startApplication();
  const origin = application.url;
  application.hub = await startMercure([
    "--mercure-issuer", ISSUER,
    "--cors-origin", origin,
    "--cors-credentials",
    "--mercure-publish-origin", origin,
  ]);
  return application;
}

/** A user's tab: a page with Echo as `window.echo`, which keeps what it hears in `window.heard`. */
async function openTab(application, user, context) {
  const page = context ? await context.newPage() : await openPage();
  await page.goto(application.url);
  await page.evaluate(
    async ({ hub, user }) => {
      document.cookie = `user=${user}`;
      const { default: Echo, ...parts } = await import("/echo.js");
      const { mercureConnector } = await import("/connector.js");
      window.heard = [];
      window.hear = (name) => (value) => window.heard.push([name, value]);
      window.echo = new Echo({ broadcaster: mercureConnector(parts), host: hub });
    },
    { hub: application.hub.mercure().split("?")[0], user },
  );
  page.heard = () => page.evaluate(() => window.heard);
  return page;
}

/** A tab of somebody else, with cookies of its own. */
async function openTabOf(application, user) {
  const context = await openBrowser();
  after(() => context.close());
  return openTab(application, user, context);
}

/** Echo in Node, with a jar for the one cookie. */
function startEcho(application, user, options = {}) {
  let cookie = "";
  const withCookie = async (address, init = {}) => {
    const headers = { ...init.headers, cookie, "x-user": user, origin: application.url };
    const answer = await fetch(address, { ...init, headers });
    cookie = answer.headers.get("set-cookie")?.split(";")[0] ?? cookie;
    return answer;
  };
  const echo = new Echo({
    broadcaster: mercureConnector({ Connector, Channel, EventFormatter }),
    host: application.hub.mercure().split("?")[0],
    authEndpoint: `${application.url}/broadcasting/auth`,
    fetch: withCookie,
    EventSource: class extends EventSource {
      constructor(address) {
        super(address, { fetch: withCookie });
      }
    },
    ...options,
  });
  after(() => echo.disconnect());
  return echo;
}

test("Laravel Echo: public and private events come over one stream, and over kill -9", async () => {
  const application = await startLaravel();
  const { hub } = application;
  const page = await openTab(application, "7");
  await page.evaluate(() => {
    echo.channel("news").listen("Published", hear("news"));
    echo.private("orders.7").listen("OrderShipped", hear("order"));
    echo.private("encrypted-notes").on("sealed", hear("sealed"));
    echo.channel("news").subscribed(hear("subscribed"));
  });
  await until("it is open", async () => (await page.heard()).length === 1);
  equal(application.asked.length, 1, "requests for authorization");
  equal(await hub.subscribers(), 1, "streams");
  const names = ["news", "private-orders.7"];
  await application.broadcast(names, "App\\Events\\Published", { n: 1 });
  await application.broadcast(names, "App\\Events\\OrderShipped", { n: 2 });
  await application.broadcast(["private-orders.8"], "App\\Events\\OrderShipped", { n: 0 });
  await application.broadcast(["private-encrypted-notes"], "", "ey.J..3._-");
  const first = [["news", { n: 1 }], ["order", { n: 2 }], ["sealed", "ey.J..3._-"]];
  const all = async () => (await page.heard()).slice(1).filter(([name]) => name !== "subscribed");
  await until("three", async () => (await all()).length >= 3);
  equal(await all(), first);

  // Another channel opens the stream anew, after the last event.
  await page.evaluate(() => echo.channel("more").listen("Published", hear("more")));
  await until("it is asked for", () => application.asked.length === 2);
  await application.broadcast(["more"], "App\\Events\\Published", { n: 3 });
  await until("four", async () => (await all()).length >= 4);
  await hub.kill("SIGKILL");
  await hub.start();
  await application.broadcast(names, "App\\Events\\OrderShipped", { n: 4 });
  await until("five", async () => (await all()).length >= 5);
  await application.broadcast(["news"], "App\\Events\\Published", { n: 5 });
  await until("six", async () => (await all()).length >= 6);
  const then = [["more", { n: 3 }], ["order", { n: 4 }], ["news", { n: 5 }]];
  equal(await all(), [...first, ...then], "each once, in order");
});

test("Laravel Echo: presence knows who is here, who joins and who leaves", async () => {
  const application = await startLaravel();
  const [one, two] = [await openTab(application, "7"), await openTabOf(application, "8")];
  const join = (page) =>
    page.evaluate(() =>
      echo.join("room.1").here(hear("here")).joining(hear("joining")).leaving(hear("leaving")),
    );
  await join(one);
  await until("it sees itself", async () => (await one.heard()).length === 1);
  equal(await one.heard(), [["here", [{ id: "7" }]]]);
  await join(two);
  await until("it sees both", async () => (await two.heard()).length === 1);
  const here = (await two.heard())[0][1].map(({ id }) => id).sort();
  equal(here, ["7", "8"]);
  await until("it sees the other", async () => (await one.heard()).length === 2);
  // A client that asks for the channel and is rejected is not a member.
  const authorization = `Bearer ${application.token([])}`;
  const match = channelTopic("presence-room.1");
  const phantom = new EventSource(application.hub.mercure({ match }), {
    fetch: (address, init) => fetch(address, { ...init, headers: { authorization } }),
  });
  after(() => phantom.close());
  await until("it listens", () => phantom.readyState === 1);
  phantom.close();
  await two.evaluate(() => echo.leave("room.1"));
  await until("it sees it leave", async () => (await one.heard()).length === 3);
  equal((await one.heard()).slice(1), [["joining", { id: "8" }], ["leaving", { id: "8" }]]);
});

test("Laravel Echo: a whisper reaches the others on its channel, and nobody else", async () => {
  const application = await startLaravel();
  const [one, two] = [await openTab(application, "7"), await openTabOf(application, "8")];
  for (const page of [one, two]) {
    await page.evaluate(() => {
      const channel = echo.private("chat").subscribed(hear("subscribed")).error(hear("error"));
      channel.listenForWhisper("typing", hear("typing"));
    });
  }
  // A stream for the channel and one for its whispers, each.
  await until("four streams", async () => (await application.hub.subscribers()) === 4);
  await one.evaluate(() => echo.private("chat").whisper("typing", { name: "Kim" }));
  // In the page it may come before the news that its channel is there.
  const whispers = async () => (await two.heard()).filter(([name]) => name !== "subscribed");
  await until("the whisper", async () => (await whispers()).length > 0);
  equal(await whispers(), [["typing", { name: "Kim" }]]);
  equal((await one.heard()).filter(([name]) => name !== "subscribed"), [], "its own whisper");
  // Its token lets nobody speak as the application.
  const forged = await one.evaluate(
    async ({ hub, topic }) => {
      const body = new URLSearchParams({ topic, data: "{}", private: "on" });
      return (await fetch(hub, { method: "POST", credentials: "include", body })).status;
    },
    { hub: application.hub.mercure(), topic: channelTopic("private-chat") },
  );
  equal(forged, 403, "publishing to the channel itself");
});

test("Laravel Echo: 100 channels are one stream, and miss nothing over kill -9", async () => {
  const application = await startLaravel();
  const { hub } = application;
  const echo = startEcho(application, "7");
  const heard = [];
  const names = Array.from({ length: 98 }, (_, n) => `room.${n}`);
  for (const name of names) echo.channel(name).listen("Said", ({ n }) => heard.push(n));
  let opened = 0;
  echo.private("orders.7").subscribed(() => (opened += 1));
  echo.private("orders.7").listen("Said", ({ n }) => heard.push(n));
  echo.channel("all").listen("Said", ({ n }) => heard.push(n));
  await until("it is open", () => opened > 0);
  equal(application.asked.map((asked) => asked.length), [100], "channels by authorization");
  equal(await hub.subscribers(), 1, "streams");
  const all = [];
  const say = async (count) => {
    for (let n = 0; n < count; n += 1) {
      const name = n % 10 === 0 ? "private-orders.7" : names[(n * 7) % names.length];
      all.push(all.length);
      await application.broadcast([name], "App\\Events\\Said", { n: all.length - 1 });
    }
  };
  await say(50);
  await until("50", () => heard.length >= 50);
  await hub.kill("SIGKILL");
  await hub.start();
  await say(50);
  await until("100", () => heard.length >= 100);
  equal(heard, all);
});

test("Laravel's broadcaster: an event for several public channels is one update", async () => {
  const application = await startLaravel();
  const one = startEcho(application, "7");
  const two = startEcho(application, "8");
  const heard = [];
  let opened = 0;
  for (const [name, echo] of Object.entries({ one, two })) {
    for (const channel of ["a b/c*", "d"]) {
      echo.channel(channel).listen("Said", () => heard.push(`${name} ${channel}`));
    }
    echo.channel("d").subscribed(() => (opened += 1));
  }
  await until("both are open", () => opened >= 2);
  // `toOthers()`: not to the tab whose action it was.
  await application.broadcast(["a b/c*", "d"], "App\\Events\\Said", {}, one.socketId());
  await until("both channels", () => heard.length >= 2);
  await application.broadcast(["d"], "App\\Events\\Said", {});
  await until("all of it", () => heard.length >= 4);
  equal(heard.sort(), ["one d", "two a b/c*", "two d", "two d"]);
  ok((await application.hub.stats()).last_id, "an id");
});
