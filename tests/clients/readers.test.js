// The npm packages that bring EventSource to Node: no event is lost while the hub is away.

import { equal, test, until } from "../browser/harness.js";
import { startHub } from "../browser/hub.js";
import { READERS, listen, numbers, publish } from "./readers.js";

for (const [name, client] of Object.entries(READERS)) {
  for (const signal of ["SIGKILL", "SIGTERM"]) {
    const sentence = `${name}: every event is heard once over ${signal} of the hub`;
    const fn = async () => {
      const hub = await startHub(["--retry", "300ms"]);
      const heard = listen(client, `${hub.url}/events/news`);
      await until("it listens", async () => (await hub.subscribers()) === 1);
      await publish(hub, 1, 5);
      await until("five events", () => heard.length === 5);
      await hub.kill(signal);
      await hub.start();
      await publish(hub, 6, 10);
      await until("ten events", () => heard.length >= 10);
      equal(heard, numbers(10));
    };
    test(sentence, fn, { together: true });
  }
}
