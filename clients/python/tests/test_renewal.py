"""Streams that outlive their tokens, and events that outlive their use."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import re
import threading
import time
import urllib.request

import pytest
from conftest import PATIENCE, HubProcess, eventually

from tidings import Hub, HubError, Outgoing

SECRET = "a-secret-of-thirty-two-characters"
EVERYTHING = {"publish": ["**"], "subscribe": ["**"]}


def part(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def mint(seconds: int, *, sub: str = "7", grant: dict = EVERYTHING) -> str:
    claims = {"sub": sub, "exp": int(time.time()) + seconds, "tidings": grant}
    text = part(b'{"alg":"HS256"}') + b"." + part(json.dumps(claims).encode())
    return (text + b"." + part(hmac.digest(SECRET.encode(), text, hashlib.sha256))).decode()


@pytest.fixture
def issuer(folder):
    """A hub that knows tokens."""
    (folder / "secret").write_text(SECRET)
    options = ["--retry", "200ms", "--jwt-secret-file", str(folder / "secret")]
    server = HubProcess(folder, *options)
    yield server
    server.kill()


def closed(server) -> int:
    """Streams that the hub has closed or lost."""
    headers = {"Authorization": f"Bearer {mint(60)}"}
    request = urllib.request.Request(server.url + "/metrics", headers=headers)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        text = answer.read().decode()
    return sum(map(int, re.findall(r"^tidings_subscribers_closed_total{.*} (\d+)", text, re.M)))


@pytest.fixture
def numbers(issuer):
    """Publishes 0, 1, 2… to ``n`` for the time of the test."""
    over = threading.Event()

    def publish():
        with Hub(issuer.url, token=lambda: mint(60)) as hub:
            for n in itertools.count():
                hub.publish("n", n)
                if over.wait(0.1):
                    return

    thread = threading.Thread(target=publish)
    thread.start()
    yield
    over.set()
    thread.join()


def read_until(stream, holds):
    """Reads numbers without gap or repetition until it holds."""
    deadline = time.monotonic() + 3 * PATIENCE
    for n, event in enumerate(stream):
        assert event.json() == n
        assert time.monotonic() < deadline, "never"
        if holds():
            return


def test_a_stream_has_one_token_after_the_other_on_one_connection(connect, issuer, numbers):
    made = []

    def token():
        made.append(mint(4))
        return made[-1]

    stream = connect(issuer.url, token=token).subscribe("n", start="all")
    read_until(stream, lambda: len(made) > 3)
    assert closed(issuer) == 0


def test_a_stream_that_does_not_get_a_token_resumes_on_another_connection(
    connect, issuer, numbers
):
    asked = []

    def token():
        asked.append(len(asked))
        return mint(4) if len(asked) == 1 else mint(60, sub="8")

    stream = connect(issuer.url, token=token).subscribe("n", start="all")
    read_until(stream, lambda: len(asked) == 3)
    eventually(lambda: closed(issuer) == 1, "the first connection is over")


def test_a_function_that_fails_costs_a_reconnection_and_no_event(connect, issuer, numbers):
    calls = []

    def token():
        calls.append(len(calls))
        if len(calls) == 2:
            raise RuntimeError("the backend is away")
        return mint(4)

    stream = connect(issuer.url, token=token).subscribe("n", start="all")
    read_until(stream, lambda: len(calls) == 3)
    eventually(lambda: closed(issuer) == 1, "the first connection is over")


def test_a_token_that_is_rejected_is_replaced_once(connect, issuer):
    tokens = iter(["stale", mint(60), "never", "good"])
    hub = connect(issuer.url, token=lambda: next(tokens))
    with Hub(issuer.url, token=mint(60)) as publisher:
        publisher.publish("t", "x")
    assert next(hub.subscribe("t", start="all")).data == "x"
    with pytest.raises(HubError) as raised:
        next(hub.subscribe("t", start="all"))
    assert raised.value.status == 401
    assert list(tokens) == []


def test_history_has_an_event_as_long_as_its_time_to_live_says(hub, server):
    hub.publish("t", "short", ttl="1s")
    hub.publish_all("t", [Outgoing("short, too", ttl="1s"), Outgoing("long", ttl="5m"), "ever"])
    kept = lambda: [event["data"] for event in server.history("t")]
    eventually(lambda: kept() == ["long", "ever"], "two are over")
    with pytest.raises(HubError) as raised:
        hub.publish("t", "x", ttl="0s")
    assert raised.value.status == 400
