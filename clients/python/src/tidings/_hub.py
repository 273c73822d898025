"""``Hub``: publish and subscribe, for code without ``async``."""

from __future__ import annotations

import logging
import time
from types import TracebackType
from typing import Any, Callable, Generator, Iterable, Iterator, Mapping, Sequence

import httpx

from . import _requests as requests
from ._errors import HubUnreachable, RunStopped, TidingsError
from ._events import Data, Event, Lost, Outgoing, Published, Summary, Will, as_line, as_text
from ._renewal import Renewal, is_refused
from ._session import SILENCE_MAX, Session, Start
from ._state import Change, StateMap

log = logging.getLogger("tidings")

PUBLISH_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
# A hub waits 30 s for the end of an erasure before it says that it goes on.
ERASE_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
STREAM_TIMEOUT = httpx.Timeout(30.0, connect=10.0, read=SILENCE_MAX, pool=None)

# Bytes of an answer that are read, unless it is a stream.
ANSWER_BYTES_MAX = 1 << 20


class Hub:
    """A hub, at the URL without ``/events``.

    ``token`` goes into the ``Authorization`` header. A function is asked for it at each request, and
    when the token of a running stream is about to expire: the stream continues with the new one.
    Threads may share a hub.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:3000",
        *,
        token: str | Callable[[], str | None] | None = None,
        client: httpx.Client | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._ids = requests.Ids()
        self._is_own = client is None
        self._client = client or httpx.Client(limits=httpx.Limits(max_connections=None))

    def publish(
        self,
        topic: str,
        data: Data,
        *,
        event: str | None = None,
        id: str | None = None,
        ttl: str | None = None,
        append: str | None = None,
        at: str | None = None,
        key: str | None = None,
    ) -> Published:
        """Publishes one event, and waits until it is stored.

        ``ttl``, such as ``"5m"``, is how long the history has it. ``append`` is the key of a value
        that it is added to: as text, or with ``at``, a JSON pointer, in the string there. ``key``
        is the key whose value it is from now on.
        """
        said = self._post(
            requests.path(topic),
            params=requests.event_query(event, id or self._ids.next(), ttl, append, at, key),
            content=as_text(data).encode(),
            content_type=requests.TEXT,
        )
        return requests.published(said, is_assigned=id is None)

    def publish_all(self, topic: str, items: Iterable[Data | Outgoing]) -> Summary:
        """Publishes several events of a topic in one request, in this order."""
        body = requests.batch(items, self._ids)
        said = self._post(requests.path(topic), content=body, content_type=requests.LINES)
        return requests.summary(said)

    def end(self, topic: str, data: Data = None, *, event: str | None = None) -> None:
        """Ends a topic. ``data``, unless ``None``, is its last event.

        After ``HubUnreachable`` the topic may have ended or not: end it again, unless somebody may
        have begun it anew.
        """
        content = b"" if data is None else as_text(data).encode()
        params = requests.end_query(event, content, self._ids)
        # Without an id, a repeat would also end a topic that was begun anew after it had ended.
        self._exchange(
            "DELETE",
            requests.path(topic),
            params=params,
            content=content,
            is_repeatable="id" in params,
        )

    def remove(self, topic: str, key: str, *, if_version: str | None = None) -> Published:
        """Removes a key from the state of a topic, and waits until that is stored.

        With ``if_version``, only if the newest event of the key has this id: otherwise
        ``HubError`` with the code ``version_differs``. Returns the id of the removal. After
        ``HubUnreachable`` the key may be removed or not.
        """
        params = requests.removal_query(key, if_version)
        # A key that is removed may have been given a value again.
        said = self._exchange(
            "DELETE", requests.path(topic), params=params, content=None, is_repeatable=False
        )
        return requests.published(said, is_assigned=False)

    def erase(
        self,
        topic: str,
        *,
        id: str | None = None,
        key: str | None = None,
        everything: bool = False,
    ) -> int:
        """Erases an event, all events of a key, or everything in the topic, and waits until the
        bytes are gone from the hub's data folder, however long that takes.

        Returns the number of events: 0 if they were erased before. It needs the right ``erase`` for
        the topic.
        """
        path = requests.erase_path(topic, id, key, everything)
        while True:
            said = self._exchange("DELETE", path, content=None, timeout=ERASE_TIMEOUT)
            count = requests.erased(said)
            if count is not None:
                return count
            time.sleep(requests.ERASE_AGAIN_AFTER)

    def run(
        self, topic: str, items: Iterable[Data | Outgoing], *, will: Will | Data = None
    ) -> Summary:
        """Begins a topic, streams ``items`` into it as they come, and ends it.

        ``items`` is not asked for anything if the topic exists (``TopicExists``). If somebody ends
        the topic (``RunStopped``), that is noticed with the next item.
        """
        path, once = requests.path(topic), {"If-None-Match": "*"}
        self._post(path, content=b"", content_type=requests.LINES, headers=once)
        last_will = will if isinstance(will, Will) or will is None else Will(will)
        headers = {**self._headers(), **once, "Content-Type": requests.LINES}
        lines = (as_line(item) for item in items)
        try:
            answer = self._client.post(
                self._url + path,
                params=requests.run_query(last_will),
                content=lines,
                headers=headers,
                timeout=STREAM_TIMEOUT,
            )
        except httpx.TransportError as error:
            self._raise_if_stopped(topic)
            raise HubUnreachable(f"the run in {topic!r} broke off") from error
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()
        return requests.summary(requests.answer(answer.status_code, answer.content))

    def subscribe(
        self,
        *topics: str,
        start: Start = "now",
        last: int | None = None,
        since: str | None = None,
        after: str | None = None,
        on_lost: Callable[[Lost], None] | None = None,
    ) -> Stream:
        """The events of topics and patterns (``*`` one segment, a final ``**`` the rest), as they
        come, until all topics have ended."""
        session = Session(
            topics,
            start=start,
            last=last,
            since=since,
            after=after,
            on_lost=on_lost,
            renews=callable(self._token),
        )
        return Stream(self, session)

    def state(self, *topics: str) -> State:
        """What each key of these topics stands for, and how that changes.

        ``with hub.state("stocks") as stocks`` begins when the state is complete.
        """
        session = Session(topics, start="state", renews=callable(self._token))
        return State(Stream(self, session), topics)

    def close(self) -> None:
        """Closes the connections, unless the client was given."""
        if self._is_own:
            self._client.close()

    def __enter__(self) -> Hub:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _headers(self) -> dict[str, str]:
        token = self._token() if callable(self._token) else self._token
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _post(
        self,
        path: str,
        *,
        content: bytes,
        content_type: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Mapping[str, Any]:
        every = {"Content-Type": content_type, **(headers or {})}
        return self._exchange("POST", path, params=params, content=content, headers=every)

    def _exchange(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: httpx.Timeout = PUBLISH_TIMEOUT,
        is_repeatable: bool = True,
    ) -> Mapping[str, Any]:
        """A request that is sent again if it fails, by default however it failed.

        If it ``is_repeatable``, it changes nothing the second time. Any other is repeated only if
        the hub certainly did not carry it out.
        """
        waits = iter(requests.waits())
        while True:
            error: httpx.TransportError | None = None
            try:
                answer = self._client.request(
                    method,
                    self._url + path,
                    params=params,
                    content=content,
                    headers={**self._headers(), **(headers or {})},
                    timeout=timeout,
                )
                if not requests.is_passing(answer.status_code):
                    return requests.answer(answer.status_code, answer.content)
            except httpx.TransportError as failure:
                error = failure
            may_repeat = is_repeatable or (
                requests.is_unheard(error) if error else requests.is_undone(answer.status_code)
            )
            wait = next(waits, None) if may_repeat else None
            if wait is not None:
                time.sleep(wait)
            elif error is not None:
                raise HubUnreachable(f"{self._url} does not answer") from error
            else:
                return requests.answer(answer.status_code, answer.content)

    def _renew(self, renewal: Renewal) -> bool:
        """Gives a running stream another token; whether it is better to begin another stream."""
        try:
            answer = self._client.put(
                self._url + renewal.path,
                content=renewal.body,
                headers={**self._headers(), "Content-Type": requests.JSON},
                timeout=renewal.timeout,
            )
        except Exception as error:  # of the caller's function, too: the old token still serves
            log.warning("the token of a stream was not renewed: %r", error)
            return False
        if answer.status_code != 200:
            log.info("the token of a stream was not renewed: %d", answer.status_code)
        return is_refused(answer.status_code)

    def _raise_if_stopped(self, topic: str) -> None:
        """Asks whether the topic has ended, where the connection broke before the answer came."""
        params = {"if": "open", "from": "now", "plain": ""}
        url = self._url + requests.path(topic)
        try:
            with self._client.stream(
                "GET", url, params=params, headers=self._headers(), timeout=PUBLISH_TIMEOUT
            ) as answer:
                status = answer.status_code
        except httpx.TransportError:
            return
        if status == 204:
            raise RunStopped(409, {"code": "topic_ended", "title": "The topic has ended"})


class Stream(Iterator[Event]):
    """The events of a subscription. Made by ``Hub.subscribe``; a context manager closes it."""

    def __init__(self, hub: Hub, session: Session) -> None:
        self._session = session
        self._events = _events(hub, session)

    @property
    def last_id(self) -> str | None:
        """The place in the stream, to begin after with ``after=``."""
        return self._session.last_id

    def __next__(self) -> Event:
        return next(self._events)

    def close(self) -> None:
        """Ends the subscription."""
        self._events.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


# Not methods of the stream: it would hold itself, and if it was dropped without `close`, the
# garbage collector would end it at any moment, perhaps while the connection pool holds a lock that
# the end of a connection takes, too.
def _events(hub: Hub, session: Session) -> Generator[Event, None, None]:
    while True:
        try:
            wait = yield from _connection(hub, session)
        except httpx.TransportError as error:
            wait = session.lost()
            log.info("no connection to the hub (%r); again in %.1f s", error, wait)
        if session.is_over:
            return
        time.sleep(wait)


def _connection(hub: Hub, session: Session) -> Generator[Event, None, float]:
    headers = {**hub._headers(), **session.headers()}
    with hub._client.stream(
        "GET",
        hub._url + "/events",
        params=session.params,
        headers=headers,
        timeout=STREAM_TIMEOUT,
    ) as answer:
        if not session.is_stream(answer.status_code, answer.headers):
            body = bytearray()
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) >= ANSWER_BYTES_MAX:
                    break
            return session.answered(answer.status_code, answer.headers, bytes(body))
        session.opened()
        for chunk in answer.iter_bytes():
            yield from session.feed(chunk)
            renewal, session.renewal = session.renewal, None
            if renewal is not None and hub._renew(renewal):
                return 0.0
        session.ended()
        return 0.0


class State(StateMap):
    """What each key of some topics stands for. Made by ``Hub.state``.

    A context manager closes it. It is read when it is asked for: ``load`` reads until it is
    complete, and ``changes`` what comes.
    """

    def __init__(self, stream: Stream, topics: Sequence[str]) -> None:
        super().__init__(topics)
        self._stream = stream

    def load(self) -> State:
        """Reads until the state is complete."""
        while not self.is_ready:
            if not self._read():
                raise TidingsError("the stream of the state ended before it was complete")
        return self

    def changes(self) -> Iterator[Change]:
        """What changes, as it comes, until all topics have ended."""
        self.load()
        while True:
            while self._changes:
                yield self._changes.popleft()
            if not self._read():
                return

    def close(self) -> None:
        """Ends the subscription. What was read stays."""
        self._stream.close()

    def __enter__(self) -> State:
        return self.load()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self) -> bool:
        """Takes one event; false when there is no more."""
        event = next(self._stream, None)
        if event is not None:
            self._take(event)
        return event is not None
