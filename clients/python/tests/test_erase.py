"""Erasing at a real hub, and at one that takes its time; for ``Hub`` and ``AsyncHub``."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tidings import HubError


def data(server, topic):
    return [event["data"] for event in server.history(topic)]


def test_an_event_a_key_and_a_topic_are_erased(hub, server):
    hub.publish("t", "one", id="a b&c")
    hub.publish("t", "two", append="k &")
    hub.publish("t", "three", append="k &")
    hub.publish("t", "four")
    assert hub.erase("t", id="a b&c") == 1
    assert hub.erase("t", id="a b&c") == 0
    assert hub.erase("t", key="k &") == 2
    assert data(server, "t") == ["four"]
    assert hub.erase("t", everything=True) == 1
    assert hub.erase("t", everything=True) == 0
    with pytest.raises(HubError) as raised:
        hub.erase("never", everything=True)
    assert (raised.value.status, raised.value.code) == (404, "event_unknown")


@pytest.mark.parametrize(
    "what",
    [{}, {"id": "1", "key": "k"}, {"id": "1", "everything": True}, {"id": None, "key": None}],
)
def test_nothing_is_erased_unless_it_is_said_what(hub, server, what):
    hub.publish("t", "one")
    with pytest.raises(ValueError):
        hub.erase("t", **what)
    for empty in ({"id": ""}, {"key": ""}):
        with pytest.raises(HubError) as raised:
            hub.erase("t", **empty)
        assert raised.value.status == 400
    assert data(server, "t") == ["one"]


def test_an_erasure_that_is_under_way_is_waited_for(connect):
    asked = []

    class Slow(BaseHTTPRequestHandler):
        def do_DELETE(self):
            asked.append(self.path)
            is_over = len(asked) > 1
            body = b'{"erased":7}' if is_over else b'{"erased":null}'
            self.send_response(200 if is_over else 202)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Slow) as slow:
        threading.Thread(target=slow.serve_forever, daemon=True).start()
        hub = connect(f"http://127.0.0.1:{slow.server_port}")
        assert hub.erase("users/7", everything=True) == 7
        slow.shutdown()
    assert asked == ["/events/users/7?erase"] * 2
