// node run.js [PART OF A SENTENCE]

import { closeBrowser } from "./browser.js";
import { run } from "./harness.js";

await import("./format.test.js");
await import("./eventsource.test.js");
await import("./origins.test.js");
await import("./mercure.test.js");
await import("./tls.test.js");
await import("./compressed.test.js");
await import("./tidings.test.js");
await import("./answers.test.js");
await import("./workers.test.js");
await import("./multiplex.test.js");
await import("./renewal.test.js");
await import("./state.test.js");
await import("./node.test.js");
await import("./bundles.test.js");
await import("./react.test.js");
await import("./state_guide.test.js");
await import("./console.test.js");
await import("./demos.test.js");
await import("./accessibility.test.js");
await import("./pictures.test.js");
await import("./cluster.test.js");
await import("./firefox.test.js");

const failed = await run(process.argv[2]);
await closeBrowser();
process.exit(failed ? 1 : 0);
