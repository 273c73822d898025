"""Publish to a Tidings hub, and subscribe with resume."""

from ._async_hub import AsyncHub, AsyncStream
from ._errors import (
    EventsLost,
    HubError,
    HubUnreachable,
    RunStopped,
    TidingsError,
    TopicExists,
)
from ._events import Event, Lost, Outgoing, Published, Summary, Will
from ._hub import Hub, Stream

__all__ = [
    "AsyncHub",
    "AsyncStream",
    "Event",
    "EventsLost",
    "Hub",
    "HubError",
    "HubUnreachable",
    "Lost",
    "Outgoing",
    "Published",
    "RunStopped",
    "Stream",
    "Summary",
    "TidingsError",
    "TopicExists",
    "Will",
]
