"""What is published, and what is read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Mapping, Sequence, Union

# What can be the data of an event. A string is sent as it is, anything else as JSON.
Data = Union[str, int, float, bool, None, Mapping[str, Any], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Event:
    """An event that was read."""

    id: str
    topic: str
    event: str
    data: str
    # When the hub stored it, in RFC 3339.
    time: str
    # The key, of an event that has one.
    key: str | None = None
    # Whether the data is all of the key's value, or a piece that is added to it: at the string that
    # the JSON pointer ``at`` names, if there is one.
    is_whole: bool = True
    at: str | None = None

    def json(self) -> Any:
        """The data, read as JSON."""
        return json.loads(self.data)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event to publish among others, where data alone does not say everything."""

    data: Data
    event: str | None = None
    id: str | None = None
    # How long the history has it, such as "5m".
    ttl: str | None = None
    # The key of the value that it is added to, and where in its JSON the string is that grows.
    append: str | None = None
    at: str | None = None


@dataclass(frozen=True, slots=True)
class Will:
    """The event that ends a run if its publisher is lost for ``lost`` (such as ``"30s"``)."""

    data: Data
    event: str | None = None
    lost: str | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """An event that is stored. ``duplicate``: the hub had it before, and published nothing."""

    id: str
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """Several events that are stored."""

    published: int
    duplicates: int = 0
    first_id: str | None = None
    last_id: str | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """Events after ``requested`` are gone: ``expired``, ``replaced`` or ``unknown``."""

    reason: str
    requested: str


def as_text(data: Data) -> str:
    """The data as it stands on the wire."""
    return data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)


def as_line(item: Data | Outgoing, id: str | None = None) -> bytes:
    """One event as a line of NDJSON, for the topic in the path."""
    outgoing = item if isinstance(item, Outgoing) else Outgoing(item)
    line = {"data": as_text(outgoing.data)}
    if outgoing.event is not None:
        line["event"] = outgoing.event
    if outgoing.ttl is not None:
        line["ttl"] = outgoing.ttl
    if outgoing.append is not None:
        line["append"] = outgoing.append
    if outgoing.at is not None:
        line["at"] = outgoing.at
    if (own := outgoing.id or id) is not None:
        line["id"] = own
    return json.dumps(line).encode() + b"\n"
