// tidings.js outside of a browser: in Node, and where a server renders.

import { spawn } from "node:child_process";
import { equal, ok, temporaryFile, test, until } from "./harness.js";
import { startHub } from "./hub.js";

const SCRIPT = new URL("../../crates/tidings-web/assets/npm/tidings.js", import.meta.url).href;

/** A program that imports tidings.js; the lines it has printed, and its exit code when it ends. */
function run(body) {
  const head = `import { connect } from ${JSON.stringify(SCRIPT)};\n`;
  const child = spawn(process.execPath, [temporaryFile("program.mjs", head + body)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (piece) => (text += piece));
  const ended = new Promise((resolve) => child.once("exit", resolve));
  return { lines: () => text.split("\n").filter(Boolean), ended };
}

test("node: it listens, resumes over kill -9, and closed it lets the program end", async () => {
  const hub = await startHub(["--retry", "300ms"]);
  const { lines, ended } = run(`
    const connection = connect("${hub.url}", { topics: "news/*" });
    connection.onopen = () => console.log("open");
    connection.onresumed = () => console.log("resumed");
    connection.onmessage = ({ data, topic }) => {
      console.log(topic, data);
      if (data === "2") connection.close();
    };
    connection.onclosed = ({ detail }) => console.log(detail.reason);
  `);
  await until("open", () => lines().includes("open"));
  await hub.publish("news/a", "1");
  await until("one", () => lines().includes("news/a 1"));
  await hub.kill();
  await hub.start();
  await hub.publish("news/b", "2");
  equal(await ended, 0);
  equal(
    lines().filter((line) => line !== "open"),
    ["news/a 1", "resumed", "news/b 2", "closed here"],
  );
});

test("node: importing it does nothing, so a server may render pages that use it", async () => {
  const { lines, ended } = run(`
    console.log(typeof connect);
    try { connect(""); } catch (error) { console.log(error.message); }
  `);
  equal(await ended, 0);
  const [type, message] = lines();
  equal(type, "function");
  ok(message.includes("a whole http(s) URL"), message);
});
