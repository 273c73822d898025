// The console at `/`.

import { ARGS, openBrowser, openPage } from "./browser.js";
import { after, equal, ok, pause, temporaryFile, test, until } from "./harness.js";
import { startHub, startHubWithKey } from "./hub.js";
import { startSite } from "./site.js";
import { mint } from "./token.js";

const rows = (page) => page.locator("#rows tr:not(.note)");

/** Waits for the state of the connection, in the header. */
const state = (page, words) => page.locator("#state").getByText(words, { exact: true }).waitFor();

async function signIn(page, token) {
  await page.locator("#token").fill(token);
  await page.keyboard.press("Enter");
}

test("something moves soon after the demo's address was opened", async () => {
  const hub = await startHub([], "demo");
  const page = await openPage();
  const foreign = [];
  const complaints = [];
  page.on("request", (request) => request.url().startsWith(hub.url) || foreign.push(request.url()));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  await page.goto(hub.url);
  await until("events", async () => (await rows(page).count()) > 0);
  const first = await rows(page).first().textContent();
  await until("the next event", async () => (await rows(page).first().textContent()) !== first);
  await until("figures", async () => /[1-9]/.test(await page.locator("#published").textContent()));
  await until("topics with rates", async () => (await page.locator("#topics tr").count()) >= 2);
  equal([foreign, complaints, page.problems], [[], [], []], "foreign requests, complaints, errors");
});

test("events of every type are shown; filter, pause and publish work by keyboard", async () => {
  const hub = await startHub();
  const page = await openPage(hub.url);
  await page.getByText("connected", { exact: true }).first().waitFor();
  await hub.publish("a/1", "apple");
  await hub.publish("b", "pear", { event: "never-seen-before" });
  await until("both", async () => (await rows(page).count()) === 2);
  await until("topics", async () => (await rows(page).allInnerTexts()).join().includes("a/1"));
  ok(
    (await rows(page).first().innerText()).includes("never-seen-before"),
    "the type of the newest",
  );

  await page.locator("#needle").focus();
  await page.keyboard.type("appl");
  await until("one row", async () => (await rows(page).count()) === 1);
  await page.locator("#needle").fill("");

  await page.locator("#pause").focus();
  await page.keyboard.press("Enter");
  await hub.publish("a/1", "while paused");
  await page.getByText("Continue (1 new)").waitFor();
  equal(await rows(page).count(), 2, "rows while paused");
  await page.keyboard.press("Space");
  await until("three rows", async () => (await rows(page).count()) === 3);

  await page.locator("#matcher").fill("a/*");
  await page.keyboard.press("Enter");
  await until("only those of a", async () => (await rows(page).count()) === 2);

  await page.locator("#publish-topic").focus();
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type("a/2");
  await page.keyboard.press("Enter");
  await page.getByText(/stored as /).waitFor();
  await until("it comes back", async () => (await rows(page).first().innerText()).includes("a/2"));
  const snippet = await page.locator("#snippet").textContent();
  equal(snippet.trim().split("\n").length, 6, "lines to copy");
  ok(snippet.includes(`new EventSource("${hub.url}/events/a/2")`), snippet);
});

test("the console shows the subscribers of each topic, and the deliveries to them", async () => {
  const hub = await startHub();
  const page = await openPage(hub.url);
  await page.getByText("connected", { exact: true }).first().waitFor();
  const own = await openPage(hub.url);
  await own.evaluate(() => {
    window.sources = ["/events/a", "/events/a", "/events/b"].map((path) => new EventSource(path));
  });
  // The two consoles share a connection, which subscribes to everything.
  await until("all", async () => (await hub.subscribers()) === 4);
  await hub.publish("a", "1");
  await hub.publish("b", "1");
  const listening = (topic) =>
    page.locator(`#topics tr:has([data-topic="${topic}"]) td:last-child`).textContent();
  await until("three of a", async () => (await listening("a").catch(() => "")) === "3");
  equal(await listening("b"), "2", "who listen to b");
  await until("all delivered", async () => (await hub.stats()).deliveries === 5);
  let shown = 0;
  await until("deliveries are drawn", async () => {
    await hub.publish("a", "2");
    shown = Number(await page.locator("#deliveries").textContent());
    return shown > 0;
  });
  ok(shown > 0, `${shown} deliveries a second`);
  await own.evaluate(() => window.sources.forEach((source) => source.close()));
  await until("one of a", async () => (await listening("a")) === "1");
});

test("the console shows the size of each topic, and the keys of those with a state", async () => {
  const hub = await startHub();
  const page = await openPage(hub.url);
  await page.getByText("connected", { exact: true }).first().waitFor();
  const first = await hub.publish("a", "x".repeat(250_000));
  const last = await hub.publish("a", "y");
  const row = (topic) => page.locator(`#topics tr:has([data-topic="${topic}"])`);
  const cells = (topic) => row(topic).locator("td").allTextContents();
  await until("both events", async () => (await cells("a"))[1] === "2");
  equal((await cells("a"))[3], "250 kB", "the size of a");
  ok(!(await page.locator("#keys-head").isVisible()), "no topic has keys");
  const title = await row("a").getByRole("button").getAttribute("title");
  equal(title, `from ${first} to ${last}`, "what the name says");

  for (const key of ["one", "two", "two"]) await hub.publish("b", key, { key });
  await page.locator("#keys-head").getByText("Keys", { exact: true }).waitFor();
  await until("the keys of b", async () => (await cells("b"))[4] === "2");
  equal((await cells("a"))[4], "", "the keys of a");
  ok(/^\d+ B$/.test((await cells("b"))[3]), "the size of b");
});

test("the six lines to copy work as they are", async () => {
  const hub = await startHub(["--cors-origin", "*"]);
  const page = await openPage(hub.url);
  const snippet = await page.locator("#snippet").textContent();
  const own = await openPage(await startSite(`<!doctype html>${snippet}`));
  await until("it listens", async () => (await hub.subscribers()) === 2);
  await hub.publish("hello", "world");
  await until("it shows", async () => (await own.locator("#list").textContent()) === "world\n");
});

test("a resume and a reset are shown as they happen", async () => {
  for (const [store, words] of [
    ["disk", /resumed after .*: nothing was missed/],
    ["memory", /reset \(replaced\)/],
  ]) {
    const hub = await startHub(["--retry", "300ms", "--store", store]);
    const page = await openPage(hub.url);
    await page.getByText("connected", { exact: true }).first().waitFor();
    await hub.publish("x", "1");
    await until("an event", async () => (await rows(page).count()) === 1);
    await hub.kill();
    await page.getByText("connection lost").first().waitFor();
    await hub.start();
    await page.getByText(words).waitFor();
    await hub.publish("x", "2");
    await until("the next event", async () => (await rows(page).first().innerText()).includes("2"));
  }
});

test("where keys are set the console asks for a token, and works with it", async () => {
  const { hub, key } = await startHubWithKey();
  await hub.publish("x", "secret news", { token: key });
  const page = await openPage(hub.url);
  await page.getByText("This hub needs a token or a key.").waitFor();
  ok((await page.locator("#access").innerText()).includes("tidings token --config"), "how to");
  // The form has the focus.
  await page.keyboard.type("not-the-key-of-the-hub");
  await page.keyboard.press("Enter");
  await page.getByText("The hub does not accept this token").waitFor();
  await page.locator("#token").fill(key);
  await page.keyboard.press("Enter");
  await until("the event", async () =>
    (await rows(page).allInnerTexts()).join().includes("secret news"),
  );
  await until("figures", async () =>
    /[1-9]/.test(await page.locator("#subscribers").textContent()),
  );
  equal(await page.locator("#access").isVisible(), false, "the form is visible");
  await page.reload();
  await until("still signed in", async () => (await rows(page).count()) === 1);
  // Other tests leave cookies of their own: hosts have them, whatever the port.
  const held = await page.evaluate(() => [
    document.cookie.includes("tidings"),
    localStorage.length,
    sessionStorage.length,
  ]);
  equal(held, [false, 0, 0], "what the page can read of the session");
});

test("the console shows what the grant allows and signs out in all tabs", async () => {
  const { hub, key } = await startHubWithKey();
  const [page, other] = [await openPage(hub.url), await openPage()];
  await signIn(page, key);
  await other.goto(hub.url);
  for (const tab of [page, other]) await state(tab, "connected");
  await page.getByRole("button", { name: "Signed in" }).click();
  const grant = (await page.locator("#grant").innerText()).split(/\s+/).join(" ");
  const ends = [0, 60_000].map((early) =>
    new Date(Date.now() + 3600_000 - early).toLocaleTimeString("en-US", { timeStyle: "short" }),
  );
  const said = "Signed in with the key “page” Reads ** Publishes to ** Operates nothing Until";
  ok(ends.some((end) => grant === `${said} ${end.split(/\s+/).join(" ")}`), grant);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("This hub needs a token or a key.").waitFor();
  await other.getByText("Your session has ended. Sign in again.").waitFor();
  await page.reload();
  await page.getByText("This hub needs a token or a key.").waitFor();
});

test("a link made in the console reads its topics and nothing else", async () => {
  const { hub, key } = await startHubWithKey();
  for (const topic of ["rooms/7", "rooms/8"]) await hub.publish(topic, topic, { token: key });
  const page = await openPage(hub.url);
  await signIn(page, key);
  await page.getByRole("button", { name: "Signed in" }).click();
  await page.locator("#share-topics").fill("rooms/7");
  await page.getByRole("button", { name: "Make a link" }).click();
  await page.getByText("for everybody who has it").waitFor();
  const link = await page.locator("#share-link").inputValue();
  const headers = { accept: "application/json" };
  const ask = (url, options) => fetch(url, { headers, ...options });
  const { events } = await (await ask(`${link}&from=start`)).json();
  equal(events.map(({ data }) => data), ["rooms/7"]);
  equal((await ask(link.replace("rooms%2F7", "rooms%2F8"))).status, 401, "another topic");
  equal((await ask(link, { method: "POST", body: "x" })).status, 401, "publishing");
  await page.locator("#share-topics").fill(",");
  await page.getByRole("button", { name: "Make a link" }).click();
  await page.getByText("No link: ").waitFor();
  equal(await page.locator("#share-made").isVisible(), false);
});

test("where the hub has no sessions the page alone holds the token", async () => {
  const { hub, key } = await startHubWithKey([], "session = false");
  await hub.publish("x", "secret news", { token: key });
  const page = await openPage(hub.url);
  await page.getByText("This hub needs a token or a key.").waitFor();
  await signIn(page, "not-the-key-of-the-hub");
  await page.getByText("The hub does not accept this token").waitFor();
  await signIn(page, key);
  await until("the event", async () => (await rows(page).count()) === 1);
  await page.getByRole("button", { name: "Signed in" }).click();
  await page.getByText("The page holds your token until you reload it.").waitFor();
  await page.reload();
  await page.getByText("This hub needs a token or a key.").waitFor();
});

test("over plain HTTP, which drops the cookie, one is signed in until a reload", async () => {
  const { hub, key } = await startHubWithKey();
  await hub.publish("x", "secret news", { token: key });
  const rule = "--host-resolver-rules=MAP hub.test 127.0.0.1";
  const browser = await openBrowser({ args: [...ARGS, rule] });
  after(() => browser.close());
  const page = await browser.newPage();
  await page.goto(`http://hub.test:${hub.port}`);
  await page.getByText("This hub needs a token or a key.").waitFor();
  await signIn(page, key);
  await until("the event", async () => (await rows(page).count()) === 1);
  await page.reload();
  await page.getByText("This hub needs a token or a key.").waitFor();
});

test("an open hub asks nobody to sign in, and one with public topics offers it", async () => {
  const open = await openPage((await startHub()).url);
  await state(open, "connected");
  await until("figures", async () => (await open.locator("#subscribers").textContent()) !== "–");
  equal(await open.locator("#access-open").isVisible(), false);
  const { hub } = await startHubWithKey([], 'anonymous-subscribe = ["news/**"]');
  const page = await openPage(hub.url);
  await state(page, "connected");
  await page.getByText("Sign in to see the hub's figures.").waitFor();
  equal(await page.locator("#access-open").innerText(), "Sign in");
  equal(await page.locator("#access").isVisible(), false, "it is offered, not asked for");
});

test("a narrow token fills the topics, and the console shows what it may read", async () => {
  const secret = "a-secret-of-thirty-two-characters";
  const hub = await startHub(["--jwt-secret-file", temporaryFile("secret", secret)]);
  const all = mint(secret, { subscribe: ["**"], publish: ["**"] });
  await hub.publish("rooms/7", "for me", { token: all });
  await hub.publish("rooms/8", "not for me", { token: all });
  const page = await openPage(hub.url);
  await page.getByText("This hub needs a token or a key.").waitFor();
  await page.locator("#token").fill(mint(secret, { subscribe: ["rooms/7", "news/**"] }));
  await page.keyboard.press("Enter");
  await until("the event", async () =>
    (await rows(page).allInnerTexts()).join().includes("for me"),
  );
  equal(await rows(page).count(), 1);
  equal(await page.locator("#matcher").inputValue(), "rooms/7, news/**");
  await page.getByText("You may not see the hub's figures").waitFor();
  await page.reload();
  await until("it is kept", async () => (await rows(page).count()) === 1);
  await page.locator("#matcher").fill("rooms/8");
  await page.keyboard.press("Enter");
  await page.locator("#access-why").getByText("Not allowed: ").waitFor();
});

test("a console without events says what to do", async () => {
  const hub = await startHub();
  const page = await openPage(hub.url);
  await page.getByText(`curl -d world ${hub.url}/events/hello`).first().waitFor();
  await hub.publish("hello", "world");
  await until("the event", async () => (await rows(page).count()) === 1);
  await page.locator("#needle").fill("nothing like it");
  await page.getByText("No event contains this text.").waitFor();
});

test("a thousand events a second do not freeze the console", async () => {
  const hub = await startHub(["--store", "memory"]);
  const page = await openPage(hub.url);
  await page.getByText("connected", { exact: true }).first().waitFor();
  await page.evaluate(() => {
    window.gaps = [];
    let before = performance.now();
    const look = (now) => {
      window.gaps.push(now - before);
      before = now;
      requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  let sent = 0;
  const until_ = Date.now() + 6000;
  while (Date.now() < until_) {
    const turn = Date.now();
    const lines = Array.from({ length: 100 }, (_, n) =>
      JSON.stringify({ topic: `load/${n % 20}`, data: `event ${sent + n}` }),
    );
    const answer = await fetch(`${hub.url}/events`, {
      method: "POST",
      headers: { "content-type": "application/x-ndjson" },
      body: lines.join("\n") + "\n",
    });
    equal(answer.status, 200);
    sent += 100;
    await pause(Math.max(0, 100 - (Date.now() - turn)));
  }
  const newest = async () => (await rows(page).first().innerText()).includes(`event ${sent - 1}`);
  await until("the newest event", newest);
  const { gaps, count } = await page.evaluate(() => ({
    gaps: window.gaps,
    count: document.querySelectorAll("#rows tr").length,
  }));
  gaps.sort((a, b) => a - b);
  const [median, worst] = [gaps[Math.floor(gaps.length / 2)], gaps.at(-1)].map(Math.round);
  const frames = `frames: median ${median} ms, longest ${worst} ms`;
  console.log(`        ${sent} events in 6 s; ${frames}; ${count} rows`);
  ok(sent >= 4000, `only ${sent} events were published`);
  ok(count <= 100, `${count} rows`);
  ok(worst < 1000, `a frame took ${worst} ms`);
});
