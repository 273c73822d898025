// README.md, docs/guides/deploy.md, doctor.md and relay.md.

import { createServer } from "node:http";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EventSource } from "eventsource";
import { after, equal, ok, temporaryFolder, test, until } from "../../browser/harness.js";
import { startHub } from "../../browser/hub.js";
import { freePort } from "../../ports.js";
import { Page } from "./page.js";
import { finish, paste, session, shown, watch } from "./shell.js";

const readme = new Page("README.md");
readme.notRun("$ cargo install", "it builds for minutes what every other test here runs");

{
  const blocks = ["$ tidings serve", "$ curl -N", "$ curl -d"].map((part) => readme.run(part));
  const [serve, listen, publish] = blocks.map(session);
  const script = readme.run("new EventSource(");
  test("snippets of README.md: the three terminals, and the script", async () => {
    const port = await freePort();
    const folder = temporaryFolder();
    const own = serve.output.replaceAll(":3000", `:${port}`);
    const hub = await watch(serve.commands, { port, folder }, shown(own));
    const listener = paste(listen.commands, { port });
    await until("it is open", () => listener.said().includes("tidings.open"));
    const printed = await finish(publish.commands, { port });
    ok(shown(publish.output).test(printed), printed);
    await until("the event", () => shown(listen.output).test(listener.said()));

    // "Kill the listener or the hub, publish again, come back with the id: nothing was missed."
    const id = JSON.parse(printed).id;
    await listener.stop();
    await hub.stop();
    await watch(serve.commands, { port, folder }, shown(own));
    const again = await finish(publish.commands.replace("world", "again"), { port });
    const back = `${listen.commands} -H 'Last-Event-ID: ${id}'`;
    const { said } = await watch(back, { port }, /data: again/);
    ok(said().includes(JSON.parse(again).id) && !said().includes("world"), said());

    const heard = [];
    const address = `127.0.0.1:${port}`;
    const text = `${script.replace("127.0.0.1:3000", address)}; return events;`;
    const events = new Function("EventSource", "list", text)(EventSource, {
      append: (data) => heard.push(data),
    });
    after(() => events.close());
    await until("the script listens", () => events.readyState === 1);
    await finish(publish.commands, { port });
    await until("the script hears it", () => heard.length > 0);
    equal(heard, ["world"]);
  });
}

{
  const access = readme.run("export TIDINGS_JWT_SECRET");
  test("snippets of README.md: a hub with a secret is read with a token of its own", async () => {
    await watch(access, { port: await freePort() }, /event: tidings\.open/);
  });
}
readme.complete();

const deploy = new Page("docs/guides/deploy.md");
deploy.notRun("dpkg -i", "it needs root and systemd; scripts/test-operating boots the package");
deploy.complete();

const doctor = new Page("docs/guides/doctor.md");
{
  const finding = session(doctor.run("$ tidings doctor"));
  test("snippets of docs/guides/doctor.md: a proxy that holds events back is found", async () => {
    const hub = await startHub();
    const proxy = await startHoldingProxy();
    const replace = {
      "https://app.example": proxy,
      "http://10.0.0.7:3000": hub.url,
    };
    const running = paste(`${finding.commands} --for 5s`, { port: hub.port, replace });
    equal(await running.gone, 8, running.complained());
    for (const line of finding.output.split("\n").filter((line) => /error:|nginx|Caddy/.test(line)))
      ok(running.said().includes(line), `${line} is missing in\n${running.said()}`);
  });

  const check = doctor.run("tidings doctor \"$URL\"");
  test("snippets of docs/guides/doctor.md: the check after a deployment", async () => {
    const hub = await startHub(["--heartbeat", "1s"]);
    const env = { URL: `${hub.url}/events/doctor`, ORIGIN: hub.url };
    const replace = { "--json": "--json --for 5s" };
    const printed = await finish(check, { port: hub.port, env, replace });
    equal(printed, "", "findings that are worse than advice");
  });
}
doctor.complete();

/** A proxy that takes a stream and passes nothing on. */
async function startHoldingProxy() {
  const server = createServer(() => {});
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

const relay = new Page("docs/guides/relay.md");

/** A server that answers every request with these events, and then ends or stays. */
async function startUpstream(blocks, { stays = false } = {}) {
  const asked = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (piece) => (body += piece));
    request.on("end", () => {
      asked.push({ method: request.method, url: request.url, headers: request.headers, body });
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(blocks);
      if (!stays) response.end();
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}`, asked };
}

{
  const changes = relay.run("https://stream.wikimedia.org").split("\n");
  test("snippets of docs/guides/relay.md: a relay feeds a topic", async () => {
    const hub = await startHub();
    const upstream = await startUpstream("id: 1\ndata: a change\n\n", { stays: true });
    const replace = { "https://stream.wikimedia.org": upstream.url };
    const listener = paste(changes[1], { port: hub.port });
    await until("it listens", async () => (await hub.subscribers()) === 1);
    paste(changes[0], { port: hub.port, replace });
    await until("the change", () => listener.said().includes("id: 1\ndata: a change\n"));
    equal(upstream.asked[0].url, "/v2/stream/recentchange");
  });

  const once = relay.run("relay --method POST");
  test("snippets of docs/guides/relay.md: the answer of a model becomes a run", async () => {
    const hub = await startHub();
    const upstream = await startUpstream('data: {"n":1}\n\ndata: [DONE]\n\n');
    const folder = temporaryFolder();
    writeFileSync(join(folder, "key.txt"), "authorization: Bearer of-the-model");
    writeFileSync(join(folder, "prompt.json"), '{"prompt":"why?"}');
    const replace = { "https://llm.example": upstream.url };
    const printed = await finish(once, { port: hub.port, folder, replace });
    equal(printed.match(/^data: .*$/gm), ['data: {"n":1}', "data: [DONE]"]);
    const [{ method, headers, body }] = upstream.asked;
    const sent = ["POST", "Bearer of-the-model", '{"prompt":"why?"}'];
    equal([method, headers.authorization, body], sent);
  });

  const consumer = relay.run("--exec './handle-order'");
  test("snippets of docs/guides/relay.md: a command for each event", async () => {
    const hub = await startHub();
    const folder = temporaryFolder();
    const script = join(folder, "handle-order");
    writeFileSync(script, '#!/bin/sh\necho "$TIDINGS_EVENT_ID $(cat)" >> handled\n');
    chmodSync(script, 0o755);
    const running = paste(consumer, { port: hub.port, folder });
    await until("it listens", async () => (await hub.subscribers()) === 1);
    const id = await hub.publish("orders", "an order");
    const handled = () => finish("cat handled orders.id", { port: hub.port, folder });
    await until("it is handled", async () => (await handled()) === `${id} an order\n${id}\n`);
    await running.stop("SIGTERM");
  });

  const stream = relay.run("subscribe --once");
  test("snippets of docs/guides/relay.md: what a model says, line by line", async () => {
    const upstream = await startUpstream("data: The sky\n\ndata: is blue\n\n");
    const folder = temporaryFolder();
    writeFileSync(join(folder, "key.txt"), "authorization: Bearer of-the-model");
    writeFileSync(join(folder, "prompt.json"), "{}");
    const replace = { "https://llm.example": upstream.url };
    const printed = await finish(stream, { port: await freePort(), folder, replace });
    equal(printed, "The sky\nis blue\n");
  });
}
relay.notRun("relayed 48213 events", "a sample of the log, which a stream of minutes would print");
relay.complete();
