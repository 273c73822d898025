"""A real hub, and the two ways to speak to it, by one interface."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import pytest

import tidings

KEY = "a-key-for-the-tests-of-the-package"
PATIENCE = 20.0


class HubProcess:
    """The program, on a port that the system chose."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.options, self.port = folder, options, 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        where = ["--listen", f"127.0.0.1:{self.port}", "--data", str(self.folder / "log")]
        self.process = subprocess.Popen(
            [os.environ["TIDINGS"], "serve", *where, "--log", "warn", *self.options],
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline()
        self.port = int(re.search(r"127\.0\.0\.1:(\d+)", line)[1])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def subscribers(self) -> int:
        with urllib.request.urlopen(self.url + "/stats") as answer:
            return json.load(answer)["subscribers"]

    def history(self, topic: str, start: str = "start") -> list[dict]:
        request = urllib.request.Request(
            f"{self.url}/events?topic={topic}&from={start}", headers={"Accept": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["events"]


def eventually(holds, what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


class Blocking:
    """An ``AsyncHub`` by the interface of ``Hub``, so that one test holds for both."""

    def __init__(self, *words, **more) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._hub = self._wait(self._make(*words, **more))
        self._streams = []

    async def _make(self, *words, **more):
        return tidings.AsyncHub(*words, **more)

    def _wait(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def publish(self, *words, **more):
        return self._wait(self._hub.publish(*words, **more))

    def publish_all(self, *words, **more):
        return self._wait(self._hub.publish_all(*words, **more))

    def end(self, *words, **more):
        return self._wait(self._hub.end(*words, **more))

    def erase(self, *words, **more):
        return self._wait(self._hub.erase(*words, **more))

    def remove(self, *words, **more):
        return self._wait(self._hub.remove(*words, **more))

    def state(self, *words):
        self._streams.append(BlockingState(self, self._hub.state(*words)))
        return self._streams[-1]

    def run(self, topic, items, **more):
        async def each():
            try:
                while True:
                    # The items of these tests may wait.
                    item = await asyncio.to_thread(next, items, StopAsyncIteration)
                    if item is StopAsyncIteration:
                        return
                    yield item
            finally:
                items.close()

        return self._wait(self._hub.run(topic, each(), **more))

    def subscribe(self, *words, **more):
        self._streams.append(BlockingStream(self, self._hub.subscribe(*words, **more)))
        return self._streams[-1]

    def close(self) -> None:
        for stream in self._streams:
            stream.close()
        self._wait(self._hub.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class BlockingStream:
    def __init__(self, hub: Blocking, stream) -> None:
        self._hub, self._stream = hub, stream

    @property
    def last_id(self):
        return self._stream.last_id

    def __iter__(self):
        return self

    def __next__(self):
        async def one():
            return await anext(self._stream, None)

        event = self._hub._wait(one())
        if event is None:
            raise StopIteration
        return event

    def close(self) -> None:
        self._hub._wait(self._stream.close())


class BlockingState:
    def __init__(self, hub: Blocking, state) -> None:
        self._hub, self.state = hub, state
        self._changes = state.changes()

    def __getattr__(self, name):
        return getattr(self.state, name)

    def load(self):
        self._hub._wait(self.state.load())
        return self

    def changes(self):
        async def one():
            return await anext(self._changes, None)

        while (change := self._hub._wait(one())) is not None:
            yield change

    def close(self) -> None:
        self._hub._wait(self._changes.aclose())
        self._hub._wait(self.state.close())


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def server(folder):
    server = HubProcess(folder, "--retry", "200ms")
    yield server
    server.kill()


@pytest.fixture
def guarded(folder):
    config = folder / "hub.toml"
    config.write_text(
        f'[[keys]]\nname = "one"\nkey = "{KEY}"\npublish = ["a/**"]\nsubscribe = ["a/**"]\n'
    )
    server = HubProcess(folder, "--config", str(config))
    yield server
    server.kill()


@pytest.fixture(params=[tidings.Hub, Blocking], ids=["sync", "async"])
def connect(request):
    """Makes a hub of either kind."""
    made = []

    def connect(*words, **more):
        made.append(request.param(*words, **more))
        return made[-1]

    yield connect
    for hub in made:
        hub.close()


@pytest.fixture
def hub(connect, server):
    return connect(server.url)
