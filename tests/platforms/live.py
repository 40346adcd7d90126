"""What an open page hears: Server-Sent Events or WebSocket messages, collected by a thread until closed."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Literal
from urllib.parse import urlsplit

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from tests.platforms.browser import Browser
from tests.system.running import wait_until

_NO_NEWS = r'"type":\s*"(?:ping|welcome|confirm_subscription|heartbeat|connected)"|\A(?:ping|heartbeat)\Z'


def _nothing(_page: str) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class Live:
    """How an application tells open pages of changes."""

    kind: Literal["events", "websocket"]
    path: str  # below the prefix
    hello: Callable[[str], tuple[str, ...]] = _nothing  # a page's HTML to what its script says first
    confirmed: str = ""  # a pattern: only after such a message does it listen
    protocols: tuple[str, ...] = ()
    no_news: str = _NO_NEWS


@dataclass
class Heard:
    """The messages so far, without those that say nothing."""

    live: Live
    all: list[str] = field(default_factory=list)
    problem: str = ""

    @property
    def news(self) -> list[str]:
        """What was told of changes."""
        return [each for each in self.all if not re.search(self.live.no_news, each)]

    def note(self, message: str) -> None:
        """One more."""
        self.all.append(message)

    def wait_for_news(self, count: int = 1) -> None:
        """AssertionError when nothing comes."""
        try:
            wait_until(lambda: len(self.news) >= count or bool(self.problem), 20)
        except AssertionError:
            raise AssertionError(f"nothing was told of a change; heard {self.all}") from None
        assert not self.problem, self.problem


@contextmanager
def listening(live: Live, browser: Browser, url: str, page: str) -> Iterator[Heard]:
    """The stream of a page that is open, through whatever stands at `url`, which has no slash at its end."""
    heard = Heard(live)
    opened = _websocket if live.kind == "websocket" else _events
    with opened(heard, browser, url + live.path, page):
        yield heard


@contextmanager
def _events(heard: Heard, browser: Browser, url: str, _page: str) -> Iterator[None]:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=120)
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=str(browser.session.verify))
        connection = HTTPSConnection(parts.netloc, timeout=120, context=context)
    connection.connect()
    client = connection.sock  # the answer takes it over; hanging up needs it
    with closing(client), closing(connection):
        said = {"Accept": "text/event-stream", "Cookie": browser.cookies_of(url)}
        connection.request("GET", parts.path, headers=said)
        with connection.getresponse() as answer:
            kind = answer.headers.get("Content-Type", "")
            assert answer.status == 200, f"{url}: {answer.status}"
            assert kind.startswith("text/event-stream"), f"{url}: {kind}"
            thread = threading.Thread(target=_collect_events, args=(heard, answer))
            thread.start()
            try:
                yield
            finally:
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
                thread.join()


def _collect_events(heard: Heard, answer: HTTPResponse) -> None:
    with suppress(HTTPException, OSError, ValueError):  # which is how it ends
        for line in answer:
            if line.startswith(b"data:"):
                heard.note(line.removeprefix(b"data:").decode().strip())


@contextmanager
def _websocket(heard: Heard, browser: Browser, url: str, page: str) -> Iterator[None]:
    parts = urlsplit(url)
    context = ssl.create_default_context(cafile=str(browser.session.verify)) if parts.scheme == "https" else None
    headers = {"Cookie": cookies} if (cookies := browser.cookies_of(url)) else {}
    with connect(
        parts._replace(scheme={"http": "ws", "https": "wss"}[parts.scheme]).geturl(),
        origin=Origin(f"{parts.scheme}://{parts.netloc}"),
        additional_headers=headers,
        subprotocols=[Subprotocol(each) for each in heard.live.protocols] or None,
        ssl=context,
        proxy=None,
        open_timeout=120,
    ) as client:
        thread = threading.Thread(target=_collect_messages, args=(heard, client))
        thread.start()
        try:
            for each in heard.live.hello(page):
                client.send(each)
            if heard.live.confirmed:
                wait_until(lambda: any(re.search(heard.live.confirmed, each) for each in heard.all), 20)
            yield
        finally:
            client.close()
            thread.join()


def _collect_messages(heard: Heard, client: ClientConnection) -> None:
    try:
        for message in client:
            heard.note(message if isinstance(message, str) else message.decode(errors="replace"))
    except WebSocketException as broken:
        heard.problem = f"the connection broke: {broken}"
