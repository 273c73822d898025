"""The servers that are compared: how each is installed, started, subscribed to and published to.

Every server runs on a port of loopback, with its data in a fresh folder, and with the settings that
its own documentation gives for production, as far as they concern what is measured. Where we depart
from a default, the reason stands beside it.
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.parse
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
OUT = BENCH / "out"
KEY = "a-secret-for-benchmarks-on-loopback-only"


class Peer:
    """A kind of server."""

    name = ""
    title = ""
    # What an acknowledged event survives: the figures of publishing mean little without it.
    durability = "memory"
    port = 0
    # Who subscribes where connections are cut: one from npm, and one in Chromium.
    clients = ("eventsource", "chromium")

    def missing(self):
        """Why it cannot be run here, or None."""
        return None

    def command(self, folder):
        raise NotImplementedError

    def environment(self):
        return {}

    def version(self):
        return ""

    def flags(self):
        """Flags of `tidings bench` that subscribe and publish."""
        return ["--url", f"http://127.0.0.1:{self.port}/events/{{topic}}"]

    def prepare(self, topics):
        """Makes topics, where a server wants them made."""

    def fill(self, text, folder):
        path = folder / "config"
        for name, value in (("@PORT@", self.port), ("@DIR@", folder), ("@KEY@", KEY)):
            text = text.replace(name, str(value))
        path.write_text(text)
        return path


class Tidings(Peer):
    name, title, durability, port = "tidings", "Tidings", "fsync", 3901

    def __init__(self, binary):
        self.binary = binary

    def command(self, folder):
        # All defaults: every event on disk before it is acknowledged. But a quarter of the open files
        # is for connections on which requests are read; where only 20,000 may be open, that would
        # leave no room for 18,000 subscribers.
        where = ["--listen", f"127.0.0.1:{self.port}", "--data", folder / "data"]
        return [self.binary, "serve", *where, "--max-connections", "1500", "--log", "warn"]

    def version(self):
        return output([self.binary, "--version"]).split()[-1]


class Floor(Peer):
    name, title, port = "floor", "the floor", 3900

    def command(self, folder):
        return [OUT / "floor/release/tidings-floor", f"127.0.0.1:{self.port}"]


class Nchan(Peer):
    name, title, port = "nchan", "Nchan", 3902

    def missing(self):
        if not shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"):
            return "Debian's packages nginx and libnginx-mod-nchan are not here"
        if not Path("/usr/lib/nginx/modules/ngx_nchan_module.so").exists():
            return "Debian's package libnginx-mod-nchan is not here"
        return None

    def command(self, folder):
        config = self.fill((BENCH / "peers/nchan.conf").read_text(), folder)
        return ["nginx", "-p", folder, "-c", config, "-g", "daemon off;"]

    def version(self):
        return output(["dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-nchan"])

    def flags(self):
        base = f"http://127.0.0.1:{self.port}"
        return ["--url", base + "/sub/{topic}", "--publish-url", base + "/pub/{topic}"]


class DurableStreams(Peer):
    name, title, durability, port = "durable-streams", "Durable Streams", "fsync", 3903
    binary = OUT / "tools/bin/durable-streams-server"

    def missing(self):
        return None if self.binary.exists() else "cargo could not install durable-streams 0.1.5"

    def command(self, folder):
        # Its defaults: a write-ahead log, each event on disk before it is acknowledged.
        port = str(self.port)
        return [self.binary, "--host", "127.0.0.1", "--port", port, "--data-dir", folder / "data"]

    def version(self):
        return "0.1.5"

    def flags(self):
        base = f"http://127.0.0.1:{self.port}/{{topic}}"
        content = "Content-Type: text/plain"
        live = base + "?offset=now&live=sse"
        return ["--url", live, "--publish-url", base, "--publish-header", content]

    def prepare(self, topics):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        for topic in range(topics):
            connection.request("PUT", f"/bench-{topic}", headers={"Content-Type": "text/plain"})
            answer = connection.getresponse()
            answer.read()
            if answer.status not in (200, 201):
                raise RuntimeError(f"durable-streams made no stream: status {answer.status}")
        connection.close()


class Express(Peer):
    name, title, port = "express", "Express", 3904

    def missing(self):
        if not shutil.which("node"):
            return "node is not here"
        folder = BENCH / "express/node_modules/express"
        return None if folder.exists() else "npm could not install express"

    def command(self, folder):
        return ["node", BENCH / "express/server.js", str(self.port)]

    def environment(self):
        return {"NODE_ENV": "production"}

    def flags(self):
        # Express takes no body whose type is not named.
        return [*super().flags(), "--publish-header", "Content-Type: text/plain"]

    def version(self):
        package = BENCH / "express/node_modules/express/package.json"
        return json.loads(package.read_text())["version"]


class SocketIo(Peer):
    """Not a server of event streams: only for what any client can count."""

    name, title, port = "socketio", "Socket.IO", 3907
    clients = ("socket.io", "chromium-socket.io")

    def missing(self):
        if not shutil.which("node"):
            return "node is not here"
        folder = BENCH / "cuts/node_modules/socket.io"
        return None if folder.exists() else "npm could not install socket.io"

    def command(self, folder):
        return ["node", BENCH / "cuts/socketio.js", str(self.port)]

    def environment(self):
        return {"NODE_ENV": "production"}

    def version(self):
        package = BENCH / "cuts/node_modules/socket.io/package.json"
        return json.loads(package.read_text())["version"]


class Mercure(Peer):
    name, title, durability, port = "mercure", "Mercure", "fsync", 3905

    def missing(self):
        if os.environ.get("MERCURE_BIN"):
            return None
        return "set MERCURE_BIN to a `mercure` program of the releases of dunglas/mercure on GitHub"

    def command(self, folder):
        config = self.fill((BENCH / "peers/mercure.Caddyfile").read_text(), folder)
        return [os.environ["MERCURE_BIN"], "run", "--adapter", "caddyfile", "--config", config]

    def version(self):
        return output([os.environ["MERCURE_BIN"], "version"]).split()[0]

    def flags(self):
        hub = f"http://127.0.0.1:{self.port}/.well-known/mercure"
        return [
            "--url", hub + "?topic={topic}",
            "--publish-url", hub,
            "--publish-header", "Content-Type: application/x-www-form-urlencoded",
            "--publish-header", f"Authorization: Bearer {mercure_token()}",
            "--publish-body", "topic={topic}&data={data}",
        ]  # fmt: skip


class Centrifugo(Peer):
    name, title, port = "centrifugo", "Centrifugo", 3906

    def missing(self):
        if os.environ.get("CENTRIFUGO_BIN"):
            return None
        where = "the releases of centrifugal/centrifugo on GitHub"
        return f"set CENTRIFUGO_BIN to a `centrifugo` program of {where}"

    def command(self, folder):
        config = self.fill((BENCH / "peers/centrifugo.json").read_text(), folder)
        named = config.rename(folder / "config.json")
        return [os.environ["CENTRIFUGO_BIN"], "--config", named]

    def version(self):
        return output([os.environ["CENTRIFUGO_BIN"], "version"]).split()[1]

    def flags(self):
        base = f"http://127.0.0.1:{self.port}"
        connect = urllib.parse.quote('{"subs":{"TOPIC":{}}}').replace("TOPIC", "{topic}")
        return [
            "--url", f"{base}/connection/uni_sse?cf_connect={connect}",
            "--publish-url", f"{base}/api/publish",
            "--publish-header", "Content-Type: application/json",
            "--publish-header", f"X-API-Key: {KEY}",
            "--publish-body", '{"channel":"{topic}","data":"{data}"}',
        ]  # fmt: skip


class Running:
    """A server that runs until the block ends."""

    def __init__(self, peer, topics=1):
        self.peer = peer
        OUT.mkdir(exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{peer.name}-", dir=OUT))
        self.log = open(self.folder / "log", "ab")
        self.process = None
        self.topics = topics

    def __enter__(self):
        self.start()
        self.peer.prepare(self.topics)
        return self

    def start(self):
        environment = {**os.environ, **self.peer.environment()}
        command = [str(part) for part in self.peer.command(self.folder)]
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", self.peer.port)) == 0:
                    time.sleep(0.3)
                    return
            time.sleep(0.05)
        log = (self.folder / "log").read_text(errors="replace")[-2000:]
        self.stop()
        raise RuntimeError(f"{self.peer.title} did not start:\n{log}")

    def stop(self, patience=20):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __exit__(self, *_):
        self.stop(patience=3)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self):
        return self.process.pid


def all_peers(binary):
    return [
        Tidings(binary), Floor(), Nchan(), DurableStreams(), Express(), SocketIo(), Mercure(),
        Centrifugo(),
    ]  # fmt: skip


def mercure_token():
    def encode(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    head = encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    claims = encode(json.dumps({"mercure": {"publish": ["*"]}}).encode())
    signature = hmac.new(KEY.encode(), f"{head}.{claims}".encode(), hashlib.sha256).digest()
    return f"{head}.{claims}.{encode(signature)}"


def output(command):
    try:
        command = [str(part) for part in command]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        return done.stdout.strip() or "?"
    except (OSError, subprocess.SubprocessError):
        return "? ?"
