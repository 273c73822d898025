// node run.js [PART OF A SENTENCE]

import { closeBrowser } from "../browser/browser.js";
import { run } from "../browser/harness.js";

await import("./eventsource.test.js");
await import("./polyfill.test.js");
await import("./readers.test.js");
await import("./pages.test.js");
await import("./silence.test.js");
await import("./ai.test.js");
await import("./llm.test.js");
await import("./relay.test.js");
await import("./laravel.test.js");
await import("./adapters.test.js");
await import("./stop.test.js");
await import("./python.test.js");
await import("./compressed.test.js");
await import("./examples.test.js");
await import("./recipes.test.js");
await import("./snippets/readme.test.js");
await import("./snippets/streams.test.js");
await import("./snippets/access.test.js");
await import("./snippets/operating.test.js");
await import("./authorize.test.js");
await import("./webhooks.test.js");
await import("./package.test.js");
await import("./packs.test.js");

const failed = await run(process.argv[2]);
await closeBrowser();
process.exit(failed ? 1 : 0);
