"""What can go wrong, by who has to do something about it."""

from __future__ import annotations

import json
from typing import Any, Mapping

from ._events import Lost


class TidingsError(Exception):
    """Anything this package raises by itself."""


class HubUnreachable(TidingsError, ConnectionError):
    """The hub did not answer, however often it was asked; the cause says why."""


class HubError(TidingsError):
    """The hub rejected a request."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(problem.get("code", ""))
        self.title = str(problem.get("title", ""))
        self.detail = str(problem.get("detail", ""))
        self.problem = problem
        said = ": ".join(part for part in (self.title, self.detail) if part)
        super().__init__(f"{status} {said}" if said else str(status))


class TopicExists(HubError):
    """The topic has events already, or has ended, so no run can begin in it."""


class RunStopped(HubError):
    """Somebody has ended the topic of this run: stop producing."""


class EventsLost(TidingsError):
    """The events after the last one that was read are not kept any more."""

    def __init__(self, lost: Lost) -> None:
        self.lost = lost
        super().__init__(f"events after {lost.requested!r} are lost: {lost.reason}")


_BY_CODE = {"topic_exists": TopicExists, "topic_ended": RunStopped}


def rejection(status: int, body: bytes) -> HubError:
    """The error of an answer, whatever its body is."""
    try:
        problem = json.loads(body)
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {"detail": body[:1000].decode(errors="replace").strip()}
    return _BY_CODE.get(str(problem.get("code")), HubError)(status, problem)
