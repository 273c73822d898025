"""The requests of a publisher, and what their answers mean. No I/O."""

from __future__ import annotations

import itertools
import json
import random
import secrets
from typing import Any, Iterable, Mapping
from urllib.parse import quote

import httpx

from ._errors import rejection
from ._events import Data, Outgoing, Published, Summary, Will, as_line, as_text
from ._session import PASSING

TEXT = "text/plain; charset=utf-8"
LINES = "application/x-ndjson"
JSON = "application/json"

# Attempts of one publish, and the first and longest wait between them, in seconds.
ATTEMPTS_MAX, WAIT_MIN, WAIT_MAX = 6, 0.1, 5.0

# A hub waits 30 s for the end of an erasure before it answers that it goes on; then it is asked
# again after this time, in seconds.
ERASE_AGAIN_AFTER = 1.0


class Ids:
    """Ids for events that bring none: a random name for this process, and a number."""

    def __init__(self) -> None:
        self._name = secrets.token_hex(8)
        self._numbers = itertools.count()

    def next(self) -> str:
        return f"{self._name}-{next(self._numbers)}"


def path(topic: str) -> str:
    """Where a topic is. Proxies merge empty segments and dots, so such a topic is one segment."""
    if all(part not in ("", ".", "..") for part in topic.split("/")):
        return "/events/" + quote(topic, safe="/")
    return "/events/" + quote(topic, safe="").replace(".", "%2E")


def event_query(
    event: str | None,
    id: str | None,
    ttl: str | None = None,
    append: str | None = None,
    at: str | None = None,
    key: str | None = None,
) -> dict[str, str]:
    """The query of a single event."""
    query = {"event": event, "id": id, "ttl": ttl, "append": append, "at": at, "key": key}
    return {name: value for name, value in query.items() if value is not None}


def end_query(event: str | None, content: bytes, ids: Ids) -> dict[str, str]:
    """The query of the end of a topic. Only a last event with data has an id."""
    return event_query(event, ids.next() if content else None)


def removal_query(key: str, if_version: str | None) -> dict[str, str]:
    """The query of the removal of a key."""
    return {"key": key} if if_version is None else {"key": key, "if-version": if_version}


def run_query(will: Will | None) -> dict[str, str]:
    """The query of a run."""
    query = {"end": ""}
    if will is not None:
        query["will"] = as_text(will.data)
        if will.event is not None:
            query["will-event"] = will.event
        if will.lost is not None:
            query["lost"] = will.lost
    return query


def erase_path(topic: str, id: str | None, key: str | None, everything: bool) -> str:
    """The path and query of what is to be erased.

    In one string: a parameter without ``=`` means the whole topic, so it must not come about by
    leaving out a value, and must not get a ``=`` on its way.
    """
    if [id is not None, key is not None, everything].count(True) != 1:
        raise ValueError("say what to erase: id=, key=, or everything=True")
    if id is not None:
        return f"{path(topic)}?erase={quote(id, safe='')}"
    if key is not None:
        return f"{path(topic)}?key={quote(key, safe='')}&erase"
    return path(topic) + "?erase"


def erased(said: Mapping[str, Any]) -> int | None:
    """The number of erased events; ``None`` while that goes on."""
    count = said["erased"]
    return None if count is None else int(count)


def batch(items: Iterable[Data | Outgoing], ids: Ids) -> bytes:
    """Several events as one body."""
    return b"".join(as_line(item, ids.next()) for item in items)


def waits() -> Iterable[float]:
    """How long to wait before each further attempt."""
    for attempt in range(ATTEMPTS_MAX - 1):
        yield min(WAIT_MIN * 2.0**attempt, WAIT_MAX) * random.uniform(0.5, 1.0)


def is_passing(status: int) -> bool:
    """Whether the same request may have another answer later."""
    return status in PASSING


def is_undone(status: int) -> bool:
    """Whether a hub gives such an answer before it does anything."""
    return 400 <= status < 500 or status == 503


def is_unheard(error: httpx.TransportError) -> bool:
    """Whether it is certain that nothing of the request was sent."""
    return isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))


def answer(status: int, body: bytes) -> Mapping[str, Any]:
    """What the hub says, or the error that it answered with."""
    if status not in (200, 202):
        raise rejection(status, body)
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise rejection(status, b"what answered is not a hub")
    return said


def published(said: Mapping[str, Any], is_assigned: bool) -> Published:
    """One event. An id of our own that the hub has is an earlier attempt of the same publish."""
    return Published(said["id"], bool(said.get("duplicate")) and not is_assigned)


def summary(said: Mapping[str, Any]) -> Summary:
    return Summary(
        said["published"], said.get("duplicates", 0), said.get("first_id"), said.get("last_id")
    )
