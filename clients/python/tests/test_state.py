"""The state of topics against the real hub; each test holds for ``Hub`` and ``AsyncHub``."""

from __future__ import annotations

import socket
import threading

import pytest
from conftest import eventually

from tidings import Change, HubError, HubUnreachable, Published
from tidings._state import joined


def values(state):
    """The state of one topic, of either kind of hub."""
    whole = getattr(state, "state", state)
    return dict(whole)


def take(state, count):
    """The next changes; what comes after them is left."""
    changes = state.changes()
    return [next(changes) for _ in range(count)]


def test_a_state_is_complete_and_then_changes(hub):
    for n in range(20):
        hub.publish("stocks", str(n), key=f"K{n % 7}")
    hub.remove("stocks", "K3")
    state = hub.state("stocks").load()
    assert values(state) == {"K0": "14", "K1": "15", "K2": "16", "K4": "18", "K5": "19", "K6": "13"}
    hub.publish("stocks", "new", key="K0")
    hub.remove("stocks", "K1")
    assert take(state, 2) == [
        Change("stocks", "K0", "new", "14"),
        Change("stocks", "K1", None, "15"),
    ]
    assert values(state)["K0"] == "new" and "K1" not in values(state)


def test_a_removal_has_an_id_and_may_depend_on_the_version(hub):
    first = hub.publish("stocks", "1", key="ACME")
    second = hub.publish("stocks", "2", key="ACME")
    with pytest.raises(HubError) as error:
        hub.remove("stocks", "ACME", if_version=first.id)
    assert (error.value.status, error.value.code) == (412, "version_differs")
    assert error.value.problem["current"] == second.id
    assert values(hub.state("stocks").load()) == {"ACME": "2"}
    removal = hub.remove("stocks", "ACME", if_version=second.id)
    assert removal == Published(removal.id, duplicate=False) and removal.id.endswith(":3")
    with pytest.raises(HubError) as error:
        hub.remove("stocks", "ACME")
    assert (error.value.status, error.value.code) == (404, "key_unknown")


@pytest.mark.parametrize("is_answered", [False, True])
def test_a_removal_is_not_repeated_if_the_first_may_have_been_carried_out(connect, is_answered):
    requests = []

    def lose(listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                requests.append(connection.recv(65536))
                if is_answered:
                    connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=lose, args=(listener,), daemon=True).start()
        hub = connect(f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(HubError if is_answered else HubUnreachable):
            hub.remove("stocks", "ACME")
        assert len(requests) == 1 and requests[0].startswith(b"DELETE /events/stocks?key=ACME ")
        listener.close()


def test_over_kill_9_it_has_what_changed_and_what_was_removed(hub, server):
    for key in "abc":
        hub.publish("t", "1", key=key)
    state = hub.state("t").load()
    server.kill()
    server.start()
    hub.publish("t", "2", key="a")
    hub.remove("t", "b")
    hub.publish("t", "1", key="d")
    said = {(change.key, change.value) for change in take(state, 3)}
    assert said == {("a", "2"), ("b", None), ("d", "1")}
    assert values(state) == {"a": "2", "c": "1", "d": "1"}


def test_after_a_reset_it_is_another_at_once(hub, server):
    for key in "abc":
        hub.publish("t", "old", key=key)
    state = hub.state("t").load()
    # Another log, as after a restore.
    server.kill()
    server.options = ("--store", "memory", *server.options)
    server.start()
    hub.publish("t", "old", key="a")
    hub.publish("t", "new", key="b")
    sizes, said = [], []
    for change in state.changes():
        said.append((change.key, change.value))
        sizes.append(len(values(state)))
        if len(said) == 2:
            break
    assert sorted(said, key=str) == [("b", "new"), ("c", None)]
    assert min(sizes) >= 2 and values(state) == {"a": "old", "b": "new"}


def test_values_grow_by_pieces(hub, server):
    hub.publish("chat", {"text": "The sky", "done": False}, key="m")
    hub.publish("chat", {"text": " is", "done": False}, append="m", at="/text")
    state = hub.state("chat").load()
    hub.publish("chat", {"text": " “blue”", "done": True}, append="m", at="/text")
    hub.publish("chat", "one", append="log")
    hub.publish("chat", " two", append="log")
    grown = '{"text":"The sky is “blue”","done":true}'
    assert [change.value for change in take(state, 3)] == [grown, "one", "one two"]
    server.kill()
    server.start()
    hub.publish("chat", " three", append="log")
    assert take(state, 1)[0].value == "one two three"
    hub.publish("chat", " four", append="log")
    assert take(state, 1)[0].value == "one two three four"


def test_several_topics_have_a_mapping_each(hub):
    hub.publish("stocks", "1", key="A")
    hub.publish("fx/eur", "2", key="A")
    hub.publish("fx/usd", "3")
    state = hub.state("stocks", "fx/*").load()
    assert set(state.topics) == {"stocks", "fx/eur", "fx/usd"}
    assert dict(state.of("fx/eur")) == {"A": "2"} and dict(state.of("fx/usd")) == {"": "3"}
    with pytest.raises(TypeError):
        values(state)
    assert hub.erase("stocks", everything=True) == 1
    assert take(state, 1) == [Change("stocks", "A", None, "1")]
    assert dict(state.of("stocks")) == {} and dict(state.of("fx/eur")) == {"A": "2"}


def test_it_ends_with_its_topics_and_a_rejection_is_an_error(hub, server):
    hub.publish("t", "1", key="a")
    state = hub.state("t").load()
    hub.end("t")
    assert list(state.changes()) == [] and values(state) == {"a": "1"}
    with pytest.raises(HubError) as raised:
        hub.state("a/**/b").load()
    assert raised.value.status == 400
    state.close()
    eventually(lambda: server.subscribers() == 0, "the subscriber is gone")


@pytest.mark.parametrize(
    "before, piece, at, whole",
    [
        ('{"a":["x","y"]}', '{"a":["p","q"]}', "/a/1", '{"a":["p","yq"]}'),
        ('{"a/b":{"~":"x"}}', '{"a/b":{"~":"y"}}', "/a~1b/~0", '{"a/b":{"~":"xy"}}'),
        ('"x"', '"y"', "", '"xy"'),
    ],
)
def test_a_piece_is_added_where_it_says(before, piece, at, whole):
    assert joined(before, piece, at) == whole
