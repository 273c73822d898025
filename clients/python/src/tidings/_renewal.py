"""Another token for a running stream: what the hub says, and what its answer means. No I/O.

In time before a stream's token expires, the hub sends ``tidings.expiring`` with a handle. ``PUT
/connections/{id}/token`` with the handle and another token prolongs the stream.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

EXPIRING = "tidings.expiring"

# Longest time for the hub's answer, in seconds.
ANSWER_MAX = 30.0


@dataclass(frozen=True, slots=True)
class Renewal:
    """A request that lacks only the new token."""

    path: str
    body: bytes
    # Seconds until the old token expires.
    left: float

    @property
    def timeout(self) -> float:
        return min(self.left, ANSWER_MAX)


def parse(data: str) -> Renewal | None:
    """The data of the event; ``None`` if this stream cannot be renewed with a token."""
    try:
        said = json.loads(data)
        connection, handle = str(said["connection"]), str(said["handle"])
        left = float(said["in_ms"]) / 1000
    except (ValueError, KeyError, TypeError):
        return None
    if not re.fullmatch(r"[0-9A-Za-z-]+", connection):
        return None
    body = json.dumps({"handle": handle}).encode()
    return Renewal(f"/connections/{connection}/token", body, left)


def is_refused(status: int) -> bool:
    """Whether this stream will not get the token, but another may.

    After any other answer but 200 the stream lasts as long as its old token. 401: a bad token would
    open no other stream either.
    """
    return 400 <= status < 500 and status not in (401, 429)
