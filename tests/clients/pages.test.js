// The libraries that listen in a page: no event is lost while the hub is away, or the tab hidden.

import { equal, test, until } from "../browser/harness.js";
import { startSite } from "../browser/site.js";
import { PAGE_CLIENTS, numbers, open } from "./page_clients.js";

/** As if the user had looked at another tab, or had come back. */
function hide(page, hidden) {
  return page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    const state = hidden ? "hidden" : "visible";
    Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
}

/** Every event arrives once although the hub was ended by the signal, and started again. */
async function restart(client, signal, site) {
  const { hub, publish, list } = await open(client, site);
  await publish(1, 5);
  await until("five events", async () => (await list()).length === 5);
  await hub.kill(signal);
  await hub.start();
  await publish(6, 10);
  await until("ten events", async () => (await list()).length >= 10);
  await publish(11, 11);
  await until("the last", async () => (await list()).includes("11"));
  equal(await list(), numbers(11));
}

for (const client of PAGE_CLIENTS) {
  const together = (sentence, fn) => test(`${client.name}: ${sentence}`, fn, { together: true });

  for (const signal of ["SIGKILL", "SIGTERM"]) {
    together(`every event is in the page once over ${signal} of the hub`, async () => {
      await restart(client, signal);
    });
  }

  if (client.crossesOrigins) {
    together("a page of another origin has every event once over SIGKILL of the hub", async () => {
      await restart(client, "SIGKILL", await startSite());
    });
  }

  together("100 events published while the tab is hidden are there when it is shown", async () => {
    const { hub, page, publish, list } = await open(client);
    await publish(1, 1);
    await until("an event", async () => (await list()).length === 1);
    await hide(page, true);
    if (client.closesWhenHidden) {
      await until("it has closed", async () => (await hub.subscribers()) === 0);
    }
    await publish(2, 101);
    await hide(page, false);
    await until("all events", async () => (await list()).length >= 101);
    equal(await list(), numbers(101));
  });
}
