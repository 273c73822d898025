"""A subscription without its connection: what to ask for, what the bytes mean, when to come back.

It does no I/O and reads no clock, so that the sync and the async stream are the same in all that
matters. Its order: ``headers`` for a request; for a stream ``opened``, ``feed`` for each piece, and
``ended`` or ``lost``; for any other answer ``answered``. ``lost`` and ``answered`` say how long to
wait before the next request.
"""

from __future__ import annotations

import json
import random
from typing import Callable, Iterable, Literal, Mapping, Sequence

from . import _renewal as renewals
from ._decoder import Block, Decoder
from ._errors import EventsLost, rejection
from ._events import Event, Lost
from ._renewal import Renewal

Start = Literal["now", "all"]

# The hub's own events that are yielded in a stream of a state.
OF_STATE = frozenset({"tidings.state", "tidings.removed", "tidings.reset"})

# Waits before coming back, in seconds: until the hub says otherwise, at least, and at most.
RETRY_DEFAULT, RETRY_MIN, RETRY_MAX = 3.0, 0.1, 30.0

# A hub sends a heartbeat every 15 s; two may be late.
SILENCE_MAX = 45.0

# Answers after which the same request may have another answer.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class Session:
    """What is known of a subscription."""

    def __init__(
        self,
        topics: Sequence[str],
        *,
        start: Start | Literal["state"] = "now",
        last: int | None = None,
        since: str | None = None,
        after: str | None = None,
        on_lost: Callable[[Lost], None] | None = None,
        renews: bool = False,
    ) -> None:
        if not topics:
            raise ValueError("subscribe to at least one topic")
        if sum((start == "all", last is not None, since is not None, after is not None)) > 1:
            raise ValueError("a stream has one start: start='all', last, since or after")
        params = [("topic", topic) for topic in topics]
        params.append(("envelope", "json"))
        self._is_state = start == "state"
        if start == "all":
            params.append(("from", "start"))
        elif start == "state":
            # Said again each time, beside the last id.
            params.append(("from", "state"))
        elif last is not None:
            params.append(("last", str(last)))
        elif since is not None:
            params.append(("since", since))
        self.params = tuple(params)
        self.last_id = after
        self.is_over = False
        # To be sent as soon as there is a token, if the stream renews its token.
        self.renewal: Renewal | None = None
        self._renews = renews
        self._was_unauthorized = False
        self._on_lost = on_lost
        self._decoder = Decoder()
        self._retry = RETRY_DEFAULT
        self._failures = 0

    def headers(self) -> dict[str, str]:
        """The headers of the next request, beside those of the hub."""
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if self.last_id:
            headers["Last-Event-ID"] = self.last_id
        self._decoder = Decoder()
        self.renewal = None
        return headers

    @staticmethod
    def is_stream(status: int, headers: Mapping[str, str]) -> bool:
        """Whether the body of an answer is to be fed; any other is to be read, and taken whole."""
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        return status == 200 and media_type == "text/event-stream"

    def opened(self) -> None:
        """A stream has begun."""
        self._failures = 0
        self._was_unauthorized = False

    def answered(self, status: int, headers: Mapping[str, str], body: bytes) -> float:
        """Takes an answer that is no stream; the wait before the next request."""
        if status == 204:
            self.is_over = True
            return 0.0
        # A token may have expired on its way: the function is asked for another, once.
        is_stale = status == 401 and self._renews and not self._was_unauthorized
        self._was_unauthorized = status == 401
        if status not in PASSING and not is_stale:
            raise rejection(status, body)
        asked = headers.get("retry-after", "")
        return max(self.lost(), float(asked) if asked.isdigit() else 0.0)

    def feed(self, chunk: bytes) -> Iterable[Event]:
        """The events in a piece of the stream.

        ``last_id`` moves with what is yielded, so that nothing counts as read before it was.
        """
        for block in self._decoder.feed(chunk):
            if block.retry_ms is not None:
                self._retry = block.retry_ms / 1000
            event = self._event(block)
            if block.id is not None:
                self.last_id = block.id
            if event is not None:
                yield event

    def ended(self) -> None:
        """The stream has ended clean: all its topics have."""
        self.is_over = True

    def lost(self) -> float:
        """The connection was cut, or not made; how long to wait before the next."""
        wait = max(RETRY_MIN, min(self._retry * 2.0**self._failures, max(self._retry, RETRY_MAX)))
        self._failures = min(self._failures + 1, 16)
        return wait * random.uniform(0.8, 1.0)

    def _event(self, block: Block) -> Event | None:
        if not block.data:
            return None  # the beginning, or a heartbeat
        data = "\n".join(block.data)
        if self._is_state and block.event in OF_STATE:
            return Event(id=block.id or "", topic="", event=block.event, data=data, time="")
        if block.event == "tidings.reset":
            said = json.loads(data)
            lost = Lost(str(said.get("reason", "")), str(said.get("requested", "")))
            if self._on_lost is None:
                # Whoever subscribes again begins after the gap.
                if block.id is not None:
                    self.last_id = block.id
                raise EventsLost(lost)
            self._on_lost(lost)
            return None
        if block.event == renewals.EXPIRING and self._renews:
            self.renewal = renewals.parse(data)
            return None
        if block.event not in ("", "message"):
            return None  # the hub's own: with an envelope, all others are messages
        said = json.loads(data)
        return Event(
            id=said.get("id") or block.id or "",
            topic=said["topic"],
            event=said.get("event") or "message",
            data=said["data"],
            time=said.get("time") or "",
            key=said.get("key"),
            is_whole=said.get("whole", True),
            at=said.get("at"),
        )
