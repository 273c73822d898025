"""A hub of its own for a benchmark: started, published to, read, and asked what it takes."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from ports import free_port  # noqa: E402

NDJSON = "content-type: application/x-ndjson\r\n"
STREAM = "accept: text/event-stream\r\n"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).resolve().parents[2] / "target"))
PROGRAM = str(TARGET / "release/tidings")


class Hub:
    """A hub on a free port of loopback, with a folder that is removed at the end."""

    def __init__(self, program, config=""):
        self.program = program
        self.folder = tempfile.TemporaryDirectory(prefix="tidings-bench-")
        self.data = Path(self.folder.name) / "log"
        self.config = Path(self.folder.name) / "hub.toml"
        self.config.write_text(config)
        self.port = free_port()
        self.start()

    def start(self):
        """Starts it; returns the seconds until it takes connections."""
        began = time.monotonic()
        command = [self.program, "serve", "--log", "error", "--config", self.config,
                   "--listen", f"127.0.0.1:{self.port}", "--data", self.data]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while True:
            try:
                self.connect().close()
                return time.monotonic() - began
            except OSError:
                if self.process.poll() is not None or time.monotonic() - began > 120:
                    sys.exit("the hub does not start")
                time.sleep(0.002)

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.folder.cleanup()

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def publish(self, topic, bodies):
        """Publishes batches of NDJSON, one after the other."""
        with self.connect() as connection:
            for body in bodies:
                connection.sendall(request("POST", f"/events/{topic}", NDJSON, body))
                take_answer(connection)

    def memory(self):
        """Its resident memory that is no file, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(status.split("RssAnon:")[1].split()[0])


def request(method, path, headers="", body=b""):
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n{headers}" \
        f"content-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def take_head(connection):
    """The head of an answer, which must be 200, and what came with it."""
    got = b""
    while b"\r\n\r\n" not in got:
        more = connection.recv(65536)
        if not more:
            sys.exit(f"no answer: {got!r}")
        got += more
    head, _, rest = got.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        sys.exit(f"{got[:500].decode(errors='replace')}")
    return head.decode().lower(), rest


def take_answer(connection):
    """The body of an answer with a length."""
    head, body = take_head(connection)
    length = int(head.split("content-length:")[1].split()[0])
    while len(body) < length:
        body += connection.recv(1 << 20)
    return body


class Figures:
    """What was asked for, and what was found."""

    def __init__(self):
        self.failed = []

    def within(self, what, found, bound, unit):
        """A figure that must not be above its bound."""
        is_met = found <= bound
        found, bound = f"{found:,.2f} {unit}", f"asked: at most {bound:,.4g} {unit}"
        print(f"{'pass' if is_met else 'FAIL'}  {what:<44} {found:>16}   {bound}", flush=True)
        if not is_met:
            self.failed.append(what)

    def note(self, what, found):
        print(f"      {what:<44} {found:>16}", flush=True)

    def end(self):
        sys.exit(f"{len(self.failed)} of the figures are not met" if self.failed else 0)
