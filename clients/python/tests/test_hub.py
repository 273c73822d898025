"""The package against the real hub; each test holds for ``Hub`` and ``AsyncHub``."""

from __future__ import annotations

import gc
import socket
import threading
import weakref

import pytest
from conftest import KEY, PATIENCE, eventually

from tidings import (
    EventsLost,
    Hub,
    HubError,
    HubUnreachable,
    Lost,
    Outgoing,
    RunStopped,
    TopicExists,
    Will,
)


def take(stream, count):
    return [next(stream) for _ in range(count)]


@pytest.mark.parametrize("topic", ["orders/7", "a//b", "ü?#&%2F", "..", "https://x/y"])
def test_an_event_arrives_as_it_was_published(hub, topic):
    published = hub.publish(topic, {"n": 1, "text": "ü\n"}, event="changed", id="mine")
    assert (published.id, published.duplicate) == ("mine", False)
    assert hub.publish(topic, {"n": 1, "text": "ü\n"}, event="changed", id="mine").duplicate
    hub.publish(topic, "as it is\r\nis")
    first, second = take(hub.subscribe(topic, start="all"), 2)
    assert (first.id, first.topic, first.event) == ("mine", topic, "changed")
    assert first.json() == {"n": 1, "text": "ü\n"} and first.time.endswith("Z")
    assert (second.event, second.data) == ("message", "as it is\r\nis")


def test_a_batch_keeps_its_order_and_a_pattern_names_topics(hub):
    summary = hub.publish_all("a/1", ["x", Outgoing({"n": 2}, event="typed", id="own")])
    assert (summary.published, summary.last_id) == (2, "own")
    hub.publish("a/2", None)
    events = take(hub.subscribe("a/*", last=10), 3)
    assert [(e.topic, e.event, e.data) for e in events] == [
        ("a/1", "message", "x"),
        ("a/1", "typed", '{"n": 2}'),
        ("a/2", "message", "null"),
    ]


def test_a_subscriber_has_every_event_once_over_kill_9(hub, server):
    stream = hub.subscribe("t", start="all")
    hub.publish_all("t", "123")
    assert [event.data for event in take(stream, 3)] == ["1", "2", "3"]
    server.kill()
    server.start()
    hub.publish_all("t", "456")
    assert [event.data for event in take(stream, 3)] == ["4", "5", "6"]
    hub.publish("t", "7")
    again = hub.subscribe("t", after=stream.last_id)
    assert next(again).data == "7", "what last_id says is where another one goes on"


def test_a_stream_ends_when_all_its_topics_have(hub):
    hub.publish("a", "1")
    hub.publish("b", "2")
    stream = hub.subscribe("a", "b", start="all")
    hub.end("a", "the last of a", event="done")
    hub.end("b")
    assert [event.data for event in stream] == ["1", "2", "the last of a"]
    assert list(hub.subscribe("a", "b", start="now")) == []


def test_a_stream_that_is_closed_leaves_no_subscriber(hub, server):
    hub.publish("t", "1")
    stream = hub.subscribe("t", start="all")
    next(stream)
    assert server.subscribers() == 1
    stream.close()
    eventually(lambda: server.subscribers() == 0, "the subscriber is gone")


def test_events_that_are_lost_are_said_to_be(hub):
    hub.publish("t", "1")
    stream = hub.subscribe("t", after="nothing:7")
    with pytest.raises(EventsLost) as raised:
        next(stream)
    assert raised.value.lost == Lost("unknown", "nothing:7")
    heard = []
    stream = hub.subscribe("t", after="nothing:7", on_lost=heard.append)
    hub.publish("t", "2")
    assert [event.data for event in take(stream, 2)] == ["1", "2"]
    assert heard == [Lost("unknown", "nothing:7")]


def test_a_stream_that_is_dropped_ends_at_once(guarded):
    # Not by the garbage collector, which may run while a lock is held that this needs.
    with Hub(guarded.url, token=KEY) as hub:
        hub.publish("a/1", "x")
        gc.disable()
        try:
            stream = hub.subscribe("a/1", start="all")
            assert next(stream).data == "x"
            events = weakref.ref(stream._events)
            del stream
            assert events() is None
        finally:
            gc.enable()


def test_a_rejection_says_what_the_hub_says(connect, guarded):
    hub = connect(guarded.url, token=lambda: KEY)
    hub.publish("a/1", "x")
    assert next(hub.subscribe("a/1", start="all")).data == "x"
    with pytest.raises(HubError) as raised:
        hub.publish("b", "x")
    assert raised.value.status == 403 and raised.value.code and raised.value.detail
    with pytest.raises(HubError) as raised:
        next(connect(guarded.url, token="another").subscribe("a/1"))
    assert raised.value.status == 401
    with pytest.raises(ValueError):
        hub.subscribe("a/1", start="all", last=3)


def test_a_publish_whose_answer_is_lost_happens_once(connect, server):
    cuts = [1]
    port = start_proxy(server.port, cuts)
    hub = connect(f"http://127.0.0.1:{port}")
    assert not hub.publish("t", "once").duplicate
    assert cuts == [0]
    assert [event["data"] for event in server.history("t")] == ["once"]


@pytest.mark.parametrize("data", ["goodbye", None])
def test_an_end_whose_answer_is_lost_does_not_end_a_topic_that_was_begun_anew(
    connect, server, data
):
    direct = connect(server.url)
    direct.publish("t", "one")
    cuts = [1]
    port = start_proxy(server.port, cuts, lost=lambda: direct.publish("t", "anew"))
    hub = connect(f"http://127.0.0.1:{port}")
    if data is None:
        with pytest.raises(HubUnreachable):
            hub.end("t")
    else:
        hub.end("t", data)
    assert cuts == [0]
    events = [(event["event"], event["data"]) for event in server.history("t")]
    last = ("end", '{"topic":"t"}') if data is None else ("message", data)
    assert events == [("message", "one"), last, ("message", "anew")]


def test_a_hub_that_is_not_there_is_unreachable(connect, server):
    server.kill()
    with pytest.raises(HubUnreachable):
        connect(server.url).publish("t", "x")
    server.start()


def test_a_run_begins_its_topic_and_ends_it(hub, server):
    summary = hub.run("runs/7", iter_of("Streams", {"that": 1}, Outgoing("end", event="last")))
    assert summary.published == 3
    events = list(hub.subscribe("runs/7", start="all"))
    assert [(event.event, event.data) for event in events] == [
        ("message", "Streams"),
        ("message", '{"that": 1}'),
        ("last", "end"),
    ]
    asked = []
    with pytest.raises(TopicExists):
        hub.run("runs/7", remember(asked))
    assert asked == [], "the producer was not asked for anything"


def test_a_run_that_somebody_ends_is_stopped(hub, connect, server):
    other = connect(server.url)
    sent = threading.Event()
    closed = threading.Event()

    def items():
        try:
            yield "1"
            for number in range(2, 2000):
                sent.set()
                closed.wait(0.02)
                yield str(number)
        finally:
            closed.set()

    def stop():
        sent.wait(PATIENCE)
        eventually(lambda: server.history("runs/8"), "the first is stored")
        other.end("runs/8", "[DONE]")

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(RunStopped):
        hub.run("runs/8", items())
    stopper.join()
    assert closed.is_set(), "the producer is told"
    assert server.history("runs/8") == [] or server.history("runs/8")[-1]["data"] == "[DONE]"


def test_a_producer_that_fails_leaves_its_will(hub):
    def items():
        yield "1"
        raise KeyError("the model")

    with pytest.raises(KeyError):
        hub.run("runs/9", items(), will=Will("it was lost", event="error", lost="100ms"))
    events = list(hub.subscribe("runs/9", start="all"))
    assert [(event.event, event.data) for event in events][-1] == ("error", "it was lost")


def iter_of(*items):
    yield from items


def remember(asked):
    asked.append(1)
    yield "x"


def start_proxy(target: int, cuts: list[int], lost=lambda: None) -> int:
    """Passes requests on; the first answers (as many as ``cuts`` says) are lost, after ``lost``."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            upstream = socket.create_connection(("127.0.0.1", target))
            threading.Thread(target=pump, args=(client, upstream), daemon=True).start()
            threading.Thread(target=answer, args=(upstream, client), daemon=True).start()

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while piece := source.recv(1 << 16):
                sink.sendall(piece)
        except OSError:
            pass

    def answer(source: socket.socket, sink: socket.socket) -> None:
        try:
            while piece := source.recv(1 << 16):
                if cuts[0] > 0:
                    cuts[0] -= 1
                    lost()
                    sink.shutdown(socket.SHUT_RDWR)
                    return
                sink.sendall(piece)
        except OSError:
            pass

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def test_events_are_added_to_the_value_of_a_key(hub, server):
    hub.publish("t", "one", append="k")
    hub.publish_all(
        "t", [Outgoing(" two", append="k"), Outgoing({"d": "x"}, append="j", at="/d")]
    )
    hub.publish("t", {"d": "y"}, append="j", at="/d")
    state = server.history("t", start="state")
    assert [event["data"] for event in state] == ["one two", '{"d": "xy"}']
    assert len(server.history("t")) == 4
    with pytest.raises(HubError) as raised:
        hub.publish("t", "text", append="j", at="/d")
    assert raised.value.status == 422
