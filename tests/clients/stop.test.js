// Stop: a `DELETE` with a body ends the run, and the hub answers the producer that still streams
// into it at once, whichever client that is.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, equal, Skipped, temporaryFolder, test, until } from "../browser/harness.js";
import { startHub } from "../browser/hub.js";
import { freePort } from "../ports.js";

const script = (name) => new URL(`stop/${name}`, import.meta.url).pathname;

const undici = (...more) => (address) => [process.execPath, script("undici.mjs"), address, ...more];

const curl = (...more) => (address) => {
  const tokens = `while echo '{"data":"token"}'; do sleep 0.02; done`;
  const words = `curl -s -k -o /dev/null -w '%{http_code}\\n' ${more.join(" ")} -X POST -T -`;
  const type = "-H 'Content-Type: application/x-ndjson' -H 'Expect:'";
  return ["sh", "-c", `${tokens} | ${words} ${type} '${address}'`];
};

const python = (name) => (address) => {
  if (!process.env.PYTHON) throw new Skipped("the Python packages could not be installed");
  return [process.env.PYTHON, script("producer.py"), name, address];
};

let built;
const go = (address) => {
  if (!built) {
    need("go");
    built = join(temporaryFolder(), "producer");
    execFileSync("go", ["build", "-o", built, script("producer.go")]);
  }
  return [built, address];
};

function need(program) {
  if (spawnSync("which", [program]).status !== 0) throw new Skipped(`${program} is not here`);
}

/** [name, command, what stands before the hub] */
const PRODUCERS = [
  ["undici", undici()],
  ["aiohttp", python("aiohttp")],
  ["Go", go],
  ["curl", curl("--http1.1")],
  ["requests", python("requests")],
  ["httpx", python("httpx")],
  ["undici over HTTP/2", undici("h2"), withTls],
  ["curl over HTTP/2", curl("--http2"), withTls],
  ["undici through nginx", undici(), behindNginx],
  ["curl through nginx", curl("--http1.1"), behindNginx],
  ["undici through HAProxy", undici(), behindHaproxy],
  ["curl through HAProxy", curl("--http1.1"), behindHaproxy],
];

for (const [name, command, place = direct] of PRODUCERS) {
  test(`${name}: a producer is answered 409 at Stop, in the middle of its body`, async () => {
    const { hub, address } = await place();
    const took = await stop(hub, `${address}/events/runs/1?end`, "runs/1", command);
    console.log(`        answered ${took} ms after Stop`);
  });
}

/** Starts a producer, stops its run, and returns the time until it says 409. */
async function stop(hub, address, topic, command) {
  const [program, ...words] = command(address);
  const child = spawn(program, words, { detached: true, stdio: ["ignore", "pipe", "inherit"] });
  const gone = new Promise((resolve) => child.once("exit", resolve));
  after(async () => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, "SIGKILL");
    await gone;
  });
  let said = "";
  const answered = new Promise((resolve) =>
    child.stdout.on("data", (piece) => {
      said += piece;
      resolve(Date.now());
    }),
  );
  const headers = { accept: "application/json" };
  await until("it streams", async () => {
    const page = await hub.fetch(`/events/${topic}?last=20`, { headers });
    return (await page.json()).events.length >= 10;
  });
  const began = Date.now();
  const last = { method: "DELETE", body: "by the user" };
  const ended = await hub.fetch(`/events/${topic}?event=stopped`, last);
  equal(ended.status, 200, "Stop");
  const took = (await answered) - began;
  await gone;
  equal(said.trim(), "409", "its answer");
  const page = await (await hub.fetch(`/events/${topic}?last=1`, { headers })).json();
  equal([page.events[0].event, page.events[0].data], ["stopped", "by the user"], "the last event");
  return took;
}

async function direct(options = []) {
  const hub = await startHub(options);
  hub.fetch = (path, init) => fetch(hub.url + path, init);
  return { hub, address: hub.url };
}

async function withTls() {
  const folder = temporaryFolder();
  const [key, certificate] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  need("openssl");
  const words =
    "req -x509 -nodes -days 2 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=localhost" +
    ` -addext subjectAltName=IP:127.0.0.1 -keyout ${key} -out ${certificate}`;
  execFileSync("openssl", words.split(" "), { stdio: "pipe" });
  const { Agent, fetch } = await import("undici");
  const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
  const hub = await startHub(["--tls-cert", certificate, "--tls-key", key]);
  hub.fetch = (path, init) => fetch(hub.url + path, { ...init, dispatcher });
  return { hub, address: hub.url };
}

async function behindNginx() {
  need("nginx");
  const { hub } = await direct();
  const [folder, port] = [temporaryFolder(), await freePort()];
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join(" ");
  // Its workers need not be root, but the folder is its starter's.
  const user = process.getuid() === 0 ? "user root;" : "";
  return proxy(hub, port, folder, "nginx", `
    ${user} pid ${folder}/pid; error_log stderr; worker_processes 1; daemon off;
    events { worker_connections 64; }
    http {
      access_log off; ${temporary}
      server {
        listen 127.0.0.1:${port};
        location / {
          proxy_pass ${hub.url}; proxy_http_version 1.1; proxy_set_header Connection "";
          proxy_buffering off; proxy_request_buffering off; client_max_body_size 0;
        }
      }
    }`, (file) => ["-p", folder, "-e", "stderr", "-c", file]);
}

async function behindHaproxy() {
  need("haproxy");
  const { hub } = await direct();
  const [folder, port] = [temporaryFolder(), await freePort()];
  return proxy(hub, port, folder, "haproxy", `
defaults
  mode http
  timeout connect 5s
  timeout client 1m
  timeout server 1m
frontend front
  bind 127.0.0.1:${port}
  default_backend hub
backend hub
  server one 127.0.0.1:${hub.port}
`, (file) => ["-db", "-q", "-f", file]);
}

/** Starts the program with this configuration before the hub. */
async function proxy(hub, port, folder, program, text, words) {
  const file = join(folder, "configuration");
  writeFileSync(file, text);
  const child = spawn(program, words(file), { stdio: "ignore" });
  const gone = new Promise((resolve) => child.once("exit", resolve));
  after(async () => {
    child.kill("SIGTERM");
    await gone;
  });
  const address = `http://127.0.0.1:${port}`;
  await until(`${program} is ready`, async () => (await fetch(`${address}/readyz`)).ok);
  return { hub, address };
}
