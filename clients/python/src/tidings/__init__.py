"""Publish to a Tidings hub, and subscribe with resume."""

from ._async_hub import AsyncHub, AsyncState, AsyncStream
from ._errors import (
    EventsLost,
    HubError,
    HubUnreachable,
    RunStopped,
    TidingsError,
    TopicExists,
)
from ._events import Event, Lost, Outgoing, Published, Summary, Will
from ._hub import Hub, State, Stream
from ._state import Change, StateMap

__all__ = [
    "AsyncHub",
    "AsyncState",
    "AsyncStream",
    "Change",
    "Event",
    "EventsLost",
    "Hub",
    "HubError",
    "HubUnreachable",
    "Lost",
    "Outgoing",
    "Published",
    "RunStopped",
    "State",
    "StateMap",
    "Stream",
    "Summary",
    "TidingsError",
    "TopicExists",
    "Will",
]
