// node run.js [PART OF A SENTENCE]

import { run } from "../browser/harness.js";

await import("./eventsource.test.js");
await import("./polyfill.test.js");
await import("./python.test.js");
await import("./examples.test.js");

process.exit((await run(process.argv[2])) ? 1 : 0);
