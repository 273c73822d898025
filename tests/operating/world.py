"""A hub, and programs around it, on ports of loopback. Every wait is bounded."""

import json
import os
import pathlib
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from ports import free_port  # noqa: E402

TIDINGS = os.environ.get("TIDINGS", str(ROOT / "target/debug/tidings"))
PATIENCE = 30


def eventually(what, holds):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            value = holds()
        except OSError:
            value = None
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"it never came to be: {what}")


class Folder:
    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="tidings-operating-"))
        self.path.chmod(0o755)

    def file(self, name, text):
        path = self.path / name
        path.write_text(text)
        return path

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


class Process:
    """A program whose lines are read as they come."""

    def __init__(self, command, env=None, **more):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TIDINGS_")}
        environment.update(env or {})
        self.child = subprocess.Popen(
            [str(word) for word in command],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, **more,
        )
        self.said = []
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stdout:
            text = line.decode(errors="replace").rstrip("\r\n")
            self.said.append(text)
            self.lines.put(text)
        self.lines.put(None)

    def line_with(self, start):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                line = self.lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"no line with {start!r} in {self.said}")
            if line.lower().startswith(start.lower()):
                return line

    def stop(self, how=signal.SIGTERM):
        if self.child.poll() is None:
            self.child.send_signal(how)
        return self.child.wait(timeout=PATIENCE)

    def kill(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait(timeout=PATIENCE)


class Publishing:
    """Numbers published to `t` one after the other, by curl, until it is stopped."""

    def __init__(self, url, enter=()):
        self.url = url
        self.enter = enter
        self.acknowledged, self.failures = [], []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._publish)
        self.thread.start()

    def _publish(self):
        number = 0
        while not self.stopping.is_set():
            number += 1
            done = subprocess.run(
                [*self.enter, "curl", "-sS", "--max-time", str(PATIENCE), "--fail-with-body",
                 "-d", str(number), f"{self.url}/events/t"],
                capture_output=True, text=True,
            )
            if done.returncode == 0:
                self.acknowledged.append(number)
            else:
                self.failures.append((number, done.stdout, done.stderr))
            time.sleep(0.01)

    def more(self):
        before = len(self.acknowledged)
        eventually("publishes", lambda: len(self.acknowledged) > before + 10)

    def stop(self):
        self.stopping.set()
        self.thread.join()

    def stop_and_compare(self, watcher):
        """None was refused, and `watcher` (subscribe --json) got each once, in order. How many."""
        self.stop()
        assert not self.failures, self.failures[:3]
        last = f'"data":"{self.acknowledged[-1]}"'
        eventually("the last event", lambda: any(last in line for line in watcher.said))
        data_of = lambda line: int(line.split('"data":"')[1].split('"')[0])
        got = [data_of(line) for line in watcher.said if '"data":"' in line]
        assert got == self.acknowledged, "each once, in order"
        return len(got)


class Hub:
    def __init__(self, data, port=None, options=(), log="warn"):
        self.port = port or free_port()
        self.process = Process([
            TIDINGS, "serve", "--listen", f"127.0.0.1:{self.port}", "--data", data,
            "--log", log, "--retry", "200ms", "--drain-window", "0", *options,
        ])
        self.process.line_with("listening on")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def publish(self, topic, data):
        request = urllib.request.Request(f"{self.url}/events/{topic}", data=data.encode())
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)["id"]

    def end(self, topic):
        request = urllib.request.Request(f"{self.url}/events/{topic}", method="DELETE")
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            assert answer.status == 200, answer.status

    def get(self, path):
        request = urllib.request.Request(self.url + path, headers={"accept": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def history(self, topic):
        events, start = [], "since=1d"
        while True:
            page = self.get(f"/events/{topic}?limit=1000&{start}")
            if not page["events"]:
                return events
            events += page["events"]
            start = f"after={page['next']}"


def curl(*arguments):
    command = ["curl", "--silent", "--show-error", "--no-buffer", *arguments]
    return Process(command)


class Skipped(Exception):
    """The program that a test needs is not here."""


def need(program):
    if shutil.which(program) is None:
        raise Skipped(f"{program} is not here")


TESTS = []


def test(function):
    TESTS.append(function)
    return function
