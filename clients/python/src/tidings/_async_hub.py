"""``AsyncHub``: publish and subscribe, for code with ``async``."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from types import TracebackType
from typing import (
    Any,
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)

import httpx

from . import _requests as requests
from ._errors import HubUnreachable, RunStopped, TidingsError
from ._events import Data, Event, Lost, Outgoing, Published, Summary, Will, as_line, as_text
from ._hub import ANSWER_BYTES_MAX, ERASE_TIMEOUT, PUBLISH_TIMEOUT, STREAM_TIMEOUT, log
from ._renewal import Renewal, is_refused
from ._session import Session, Start
from ._state import Change, StateMap


Token = str | Callable[[], str | None | Awaitable[str | None]] | None


class AsyncHub:
    """A hub, at the URL without ``/events``.

    ``token`` goes into the ``Authorization`` header. A function, which may be async, is asked for it
    at each request, and when the token of a running stream is about to expire: the stream continues
    with the new one. Tasks may share a hub.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:3000",
        *,
        token: Token = None,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._ids = requests.Ids()
        self._is_own = client is None
        self._client = client or httpx.AsyncClient(limits=httpx.Limits(max_connections=None))

    async def publish(
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
        said = await self._post(
            requests.path(topic),
            params=requests.event_query(event, id or self._ids.next(), ttl, append, at, key),
            content=as_text(data).encode(),
            content_type=requests.TEXT,
        )
        return requests.published(said, is_assigned=id is None)

    async def publish_all(self, topic: str, items: Iterable[Data | Outgoing]) -> Summary:
        """Publishes several events of a topic in one request, in this order."""
        body = requests.batch(items, self._ids)
        said = await self._post(requests.path(topic), content=body, content_type=requests.LINES)
        return requests.summary(said)

    async def end(self, topic: str, data: Data = None, *, event: str | None = None) -> None:
        """Ends a topic. ``data``, unless ``None``, is its last event.

        After ``HubUnreachable`` the topic may have ended or not: end it again, unless somebody may
        have begun it anew.
        """
        content = b"" if data is None else as_text(data).encode()
        params = requests.end_query(event, content, self._ids)
        # Without an id, a repeat would also end a topic that was begun anew after it had ended.
        await self._exchange(
            "DELETE",
            requests.path(topic),
            params=params,
            content=content,
            is_repeatable="id" in params,
        )

    async def remove(self, topic: str, key: str, *, if_version: str | None = None) -> Published:
        """Removes a key from the state of a topic, and waits until that is stored.

        With ``if_version``, only if the newest event of the key has this id: otherwise
        ``HubError`` with the code ``version_differs``. Returns the id of the removal. After
        ``HubUnreachable`` the key may be removed or not.
        """
        params = requests.removal_query(key, if_version)
        # A key that is removed may have been given a value again.
        said = await self._exchange(
            "DELETE", requests.path(topic), params=params, content=None, is_repeatable=False
        )
        return requests.published(said, is_assigned=False)

    async def erase(
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
            said = await self._exchange("DELETE", path, content=None, timeout=ERASE_TIMEOUT)
            count = requests.erased(said)
            if count is not None:
                return count
            await asyncio.sleep(requests.ERASE_AGAIN_AFTER)

    async def run(
        self, topic: str, items: AsyncIterable[Data | Outgoing], *, will: Will | Data = None
    ) -> Summary:
        """Begins a topic, streams ``items`` into it as they come, and ends it.

        ``items`` is not asked for anything if the topic exists (``TopicExists``). If somebody ends
        the topic (``RunStopped``), that is noticed with the next item.
        """
        path, once = requests.path(topic), {"If-None-Match": "*"}
        await self._post(path, content=b"", content_type=requests.LINES, headers=once)
        last_will = will if isinstance(will, Will) or will is None else Will(will)
        headers = {**await self._headers(), **once, "Content-Type": requests.LINES}
        lines = (as_line(item) async for item in items)
        try:
            answer = await self._client.post(
                self._url + path,
                params=requests.run_query(last_will),
                content=lines,
                headers=headers,
                timeout=STREAM_TIMEOUT,
            )
        except httpx.TransportError as error:
            await self._raise_if_stopped(topic)
            raise HubUnreachable(f"the run in {topic!r} broke off") from error
        finally:
            close = getattr(items, "aclose", None)
            if close is not None:
                await close()
        return requests.summary(requests.answer(answer.status_code, answer.content))

    def subscribe(
        self,
        *topics: str,
        start: Start = "now",
        last: int | None = None,
        since: str | None = None,
        after: str | None = None,
        on_lost: Callable[[Lost], None] | None = None,
    ) -> AsyncStream:
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
        return AsyncStream(self, session)

    def state(self, *topics: str) -> AsyncState:
        """What each key of these topics stands for, and how that changes.

        ``async with hub.state("stocks") as stocks`` begins when the state is complete.
        """
        session = Session(topics, start="state", renews=callable(self._token))
        return AsyncState(AsyncStream(self, session), topics)

    async def close(self) -> None:
        """Closes the connections, unless the client was given."""
        if self._is_own:
            await self._client.aclose()

    async def __aenter__(self) -> AsyncHub:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _headers(self) -> dict[str, str]:
        token = self._token() if callable(self._token) else self._token
        if inspect.isawaitable(token):
            token = await token
        return {"Authorization": f"Bearer {token}"} if token else {}

    async def _post(
        self,
        path: str,
        *,
        content: bytes,
        content_type: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Mapping[str, Any]:
        every = {"Content-Type": content_type, **(headers or {})}
        return await self._exchange("POST", path, params=params, content=content, headers=every)

    async def _exchange(
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
                answer = await self._client.request(
                    method,
                    self._url + path,
                    params=params,
                    content=content,
                    headers={**await self._headers(), **(headers or {})},
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
                await asyncio.sleep(wait)
            elif error is not None:
                raise HubUnreachable(f"{self._url} does not answer") from error
            else:
                return requests.answer(answer.status_code, answer.content)

    async def _renew(self, renewal: Renewal) -> bool:
        """Gives a running stream another token; whether it is better to begin another stream."""
        try:
            answer = await self._client.put(
                self._url + renewal.path,
                content=renewal.body,
                headers={**await self._headers(), "Content-Type": requests.JSON},
                timeout=renewal.timeout,
            )
        except Exception as error:  # of the caller's function, too: the old token still serves
            log.warning("the token of a stream was not renewed: %r", error)
            return False
        if answer.status_code != 200:
            log.info("the token of a stream was not renewed: %d", answer.status_code)
        return is_refused(answer.status_code)

    async def _raise_if_stopped(self, topic: str) -> None:
        """Asks whether the topic has ended, where the connection broke before the answer came."""
        params = {"if": "open", "from": "now", "plain": ""}
        url = self._url + requests.path(topic)
        try:
            headers = await self._headers()
            async with self._client.stream(
                "GET", url, params=params, headers=headers, timeout=PUBLISH_TIMEOUT
            ) as answer:
                status = answer.status_code
        except httpx.TransportError:
            return
        if status == 204:
            raise RunStopped(409, {"code": "topic_ended", "title": "The topic has ended"})


class AsyncStream(AsyncIterator[Event]):
    """The events of a subscription. Made by ``AsyncHub.subscribe``; a context manager closes it."""

    def __init__(self, hub: AsyncHub, session: Session) -> None:
        self._hub = hub
        self._session = session
        self._events = self._run()
        # Before the next connection, in seconds.
        self._wait = 0.0

    @property
    def last_id(self) -> str | None:
        """The place in the stream, to begin after with ``after=``."""
        return self._session.last_id

    async def __anext__(self) -> Event:
        return await anext(self._events)

    async def close(self) -> None:
        """Ends the subscription."""
        await self._events.aclose()

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _run(self) -> AsyncGenerator[Event, None]:
        while True:
            try:
                async with contextlib.aclosing(self._connection()) as connection:
                    async for event in connection:
                        yield event
                wait = self._wait
            except httpx.TransportError as error:
                wait = self._session.lost()
                log.info("no connection to the hub (%r); again in %.1f s", error, wait)
            if self._session.is_over:
                return
            await asyncio.sleep(wait)

    async def _connection(self) -> AsyncGenerator[Event, None]:
        hub, session = self._hub, self._session
        headers = {**await hub._headers(), **session.headers()}
        async with hub._client.stream(
            "GET",
            hub._url + "/events",
            params=session.params,
            headers=headers,
            timeout=STREAM_TIMEOUT,
        ) as answer:
            if not session.is_stream(answer.status_code, answer.headers):
                body = bytearray()
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) >= ANSWER_BYTES_MAX:
                        break
                self._wait = session.answered(
                    answer.status_code, answer.headers, bytes(body)
                )
                return
            session.opened()
            async for chunk in answer.aiter_bytes():
                for event in session.feed(chunk):
                    yield event
                renewal, session.renewal = session.renewal, None
                if renewal is not None and await hub._renew(renewal):
                    self._wait = 0.0
                    return
            session.ended()


class AsyncState(StateMap):
    """What each key of some topics stands for. Made by ``AsyncHub.state``.

    A context manager closes it. It is read when it is asked for: ``load`` reads until it is
    complete, and ``changes`` what comes.
    """

    def __init__(self, stream: AsyncStream, topics: Sequence[str]) -> None:
        super().__init__(topics)
        self._stream = stream

    async def load(self) -> AsyncState:
        """Reads until the state is complete."""
        while not self.is_ready:
            if not await self._read():
                raise TidingsError("the stream of the state ended before it was complete")
        return self

    async def changes(self) -> AsyncIterator[Change]:
        """What changes, as it comes, until all topics have ended."""
        await self.load()
        while True:
            while self._changes:
                yield self._changes.popleft()
            if not await self._read():
                return

    async def close(self) -> None:
        """Ends the subscription. What was read stays."""
        await self._stream.close()

    async def __aenter__(self) -> AsyncState:
        return await self.load()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _read(self) -> bool:
        """Takes one event; false when there is no more."""
        event = await anext(self._stream, None)
        if event is not None:
            self._take(event)
        return event is not None
