"""The state of topics by key: what a stream of it means. No I/O."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Iterator, Mapping, Sequence

from ._events import Event

# Types of the hub's own events in a stream of a state.
COMPLETE, REMOVED, RESET = "tidings.state", "tidings.removed", "tidings.reset"

Values = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Change:
    """A key has another value, or with ``None`` was removed."""

    topic: str
    # ``""`` for events without a key, of which the last one counts.
    key: str
    value: str | None
    before: str | None


class StateMap(Mapping[str, str]):
    """What each key of some topics stands for; of one topic, a mapping of key to value.

    Of several topics, or of a pattern, ``of(topic)`` is the mapping. It is empty until the state is
    complete, and never half of one: after a reset the old one stays until all of the new one is
    here.
    """

    def __init__(self, topics: Sequence[str]) -> None:
        is_one = len(topics) == 1 and "*" not in topics[0]
        self._topic = topics[0] if is_one else None
        self._shown: Values = {}
        # What becomes that when it is complete; ``None`` where changes are shown as they come.
        self._coming: Values | None = {}
        self._changes: deque[Change] = deque()
        self._is_ready = False

    @property
    def is_ready(self) -> bool:
        """Whether the state has been complete."""
        return self._is_ready

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that have a key."""
        return tuple(topic for topic, values in self._shown.items() if values)

    def of(self, topic: str) -> Mapping[str, str]:
        """What each key of one topic stands for now."""
        return MappingProxyType(self._shown.get(topic, {}))

    def __getitem__(self, key: str) -> str:
        return self._one()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._one())

    def __len__(self) -> int:
        return len(self._one())

    def _one(self) -> Mapping[str, str]:
        if self._topic is None:
            raise TypeError("a state of several topics has a mapping for each: of(topic)")
        return self.of(self._topic)

    def _take(self, event: Event) -> None:
        if event.event == COMPLETE:
            self._complete()
        elif event.event == REMOVED:
            said = json.loads(event.data)
            self._set(said["topic"], said["key"], None)
        elif event.event == RESET:
            self._reset(json.loads(event.data).get("topic"))
        else:
            self._set(event.topic, event.key or "", self._text(event))

    def _text(self, event: Event) -> str | None:
        held = self._shown if self._coming is None else self._coming
        before = held.get(event.topic, {}).get(event.key or "")
        if event.is_whole:
            return event.data
        # Retention has dropped what it continues: the value is no part of the state.
        if before is None:
            return None
        return before + event.data if event.at is None else joined(before, event.data, event.at)

    def _set(self, topic: str, key: str, value: str | None) -> None:
        held = self._shown if self._coming is None else self._coming
        values = held.setdefault(topic, {})
        before = values.get(key)
        if value is None:
            values.pop(key, None)
        else:
            values[key] = value
        if self._coming is None and value != before:
            self._changes.append(Change(topic, key, value, before))

    def _complete(self) -> None:
        coming, self._coming = self._coming, None
        if coming is None:
            return
        for topic, values in self._shown.items():
            for key in [key for key in values if key not in coming.get(topic, {})]:
                self._set(topic, key, None)
        for topic, values in coming.items():
            for key, value in values.items():
                self._set(topic, key, value)
        if not self._is_ready:
            self._changes.clear()
        self._is_ready = True

    def _reset(self, topic: str | None) -> None:
        """All of the state comes next; or one topic was erased, and nothing else."""
        if topic is None:
            self._coming = {}
            return
        held = self._shown if self._coming is None else self._coming
        for key in list(held.get(topic, {})):
            self._set(topic, key, None)


def joined(before: str, piece: str, at: str) -> str:
    """The newest piece; its string at this JSON pointer is added to the one in the value before."""
    old, new = json.loads(before), json.loads(piece)
    path = [part.replace("~1", "/").replace("~0", "~") for part in at.split("/")[1:]]
    if not path:
        return json.dumps(old + new, ensure_ascii=False)
    place, within = new, old
    for part in path[:-1]:
        place, within = _inside(place, part), _inside(within, part)
    place[_name(place, path[-1])] = _inside(within, path[-1]) + _inside(place, path[-1])
    return json.dumps(new, ensure_ascii=False, separators=(",", ":"))


def _name(place: Any, part: str) -> Any:
    return int(part) if isinstance(place, list) else part


def _inside(place: Any, part: str) -> Any:
    return place[_name(place, part)]
