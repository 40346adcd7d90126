"""Small fleets, and the requests of clients."""

from __future__ import annotations

import json
import random
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import h11

from simulator.description import AppSpec, EdgeSpec, FleetSpec, MachineSpec
from simulator.edge import Edge
from simulator.running import Running, running
from simulator.unknowns import Tempo, Unknowns


def _unused_port() -> int:
    """A port that nobody has at any address: who listens at all of them would answer for a machine that boots."""
    for port in random.sample(range(20_000, 30_000), 100):
        with suppress(OSError), socket.socket() as sock:
            sock.bind(("", port))
            return port
    raise RuntimeError("no port is free")


PORT = _unused_port()
UPSTREAM = (sys.executable, "-S", str(Path(__file__).with_name("upstream.py")))
CALM = replace(Unknowns().calm(), stale_view=0.0)
QUICK = Tempo(resume=0.05, boot=0.05, suspend=0.05, missing_target=0.4, connect_window=8, queue=0.4, soft_cordon=0.02)
ROUTER, OTHER, TARGET, SPARE = "aa000000000001", "aa000000000002", "bb000000000001", "bb000000000002"


def machine(app: str, name: str, region: str = "iad", **more: Any) -> MachineSpec:
    """A machine that runs the application of the tests."""
    env = {"PORT": str(PORT), **more.pop("env", {})}
    return MachineSpec(app=app, id=name, region=region, command=UPSTREAM, port=PORT, env=env, **more)


def service(*ports: int, **more: Any) -> tuple[dict[str, Any], ...]:
    """HTTP at some ports."""
    listed = [{"port": each, "handlers": ["http"]} for each in ports or (80, 443)]
    return ({"internal_port": PORT, "autostart": True, "ports": listed, **more},)


def fleet_spec(*machines: MachineSpec, **more: Any) -> FleetSpec:
    """A router, a target without an address, and whatever machines are given."""
    names = ["router", "target", *(each.app for each in machines)]
    apps = more.pop("apps", [AppSpec(name=each, public=each != "target") for each in dict.fromkeys(names)])
    usual = {
        "default_app": "router",
        "unknowns": CALM,
        "tempo": QUICK,
        "seed": 1,
        "edges": (EdgeSpec(region="iad", ports={80: 0, 443: 0, 9090: 0}), EdgeSpec(region="ams")),
    }
    return FleetSpec(apps=tuple(apps), machines=machines, **(usual | more))


@contextmanager
def fleet(*machines: MachineSpec, **more: Any) -> Iterator[Running]:
    """Run one."""
    with running(fleet_spec(*machines, **more)) as fly:
        try:
            yield fly
        except BaseException:
            print(fly.errors, list(fly.fleet.registry.machines.values()), sep="\n")
            print(*(each.log.read_text() for each in fly.fleet.registry.machines.values() if each.log.exists()))
            raise


@dataclass(frozen=True)
class Answer:
    """What a client got; status 0 is a connection that was closed without an answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    interim: tuple[int, ...] = ()

    @property
    def seen(self) -> dict[str, Any]:
        """What the application says of the request."""
        assert self.body.startswith(b"{"), self
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def machine(self) -> str:
        """The machine that answered."""
        return str(self.seen["machine"])

    def header(self, name: str) -> str:
        """A header of the request, as the application got it; '' if it did not."""
        return next((value for key, value in self.seen["headers"] if key.lower() == name), "")


def where(path: str, *headers: str, **parameters: str) -> str:
    """A target that lets the application answer with headers."""
    pairs = [("header", each) for each in headers] + list(parameters.items())
    return f"{path}?{urlencode(pairs, quote_via=quote)}" if pairs else path


def replay(value: str, path: str = "/page", *more: str, **parameters: str) -> str:
    """A target that lets the application replay; only the first machine does."""
    return where(path, f"fly-replay:{value}", *more, **parameters)


class Door(Protocol):
    """Where clients arrive."""

    host: str
    ports: dict[int, int]


def ask(
    edge: Edge | Door,
    target: str = "/",
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes | list[bytes] = b"",
    port: int = 443,
    timeout: float = 20,
) -> Answer:
    """One request on a connection of its own; a list of bodies is sent in chunks."""
    with socket.create_connection((getattr(edge, "host", "127.0.0.1"), edge.ports[port]), timeout) as sock:
        http = h11.Connection(h11.CLIENT)
        said = {"host": "example.test", **(headers or {})}
        if isinstance(body, list):
            said["transfer-encoding"] = "chunked"
        elif body:
            said["content-length"] = str(len(body))
        request = h11.Request(method=method, target=target, headers=list(said.items()))
        try:
            sock.sendall(http.send(request) or b"")
            for each in body if isinstance(body, list) else [body]:
                sock.sendall(http.send(h11.Data(each)) or b"")
            sock.sendall(http.send(h11.EndOfMessage()) or b"")
        except OSError:
            pass  # answered before it was read
        return _answer(sock, http)


def _answer(sock: socket.socket, http: h11.Connection) -> Answer:
    answer = Answer(0)
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            try:
                data = sock.recv(65_536)
            except ConnectionError:
                return answer
            if not data and http.their_state in (h11.SEND_RESPONSE, h11.IDLE):
                return answer
            http.receive_data(data)
        elif isinstance(event, h11.InformationalResponse):
            answer = replace(answer, interim=(*answer.interim, event.status_code))
        elif isinstance(event, h11.Response):
            headers = {name.decode(): value.decode() for name, value in event.headers}
            answer = replace(answer, status=event.status_code, headers=headers)
        elif isinstance(event, h11.Data):
            answer = replace(answer, body=answer.body + bytes(event.data))
        else:
            return answer


@contextmanager
def upgraded(edge: Edge, target: str) -> Iterator[tuple[int, socket.socket]]:
    """Ask for a WebSocket: the status, and the connection after the head of the answer."""
    with socket.create_connection(("127.0.0.1", edge.ports[443]), 20) as sock:
        head = f"GET {target} HTTP/1.1\r\nHost: example.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        sock.sendall(head.encode())
        said = b""
        while not said.endswith(b"\r\n\r\n"):
            said += sock.recv(1) or b"\r\n\r\n"
        yield int(said.split()[1]), sock


def exactly(sock: socket.socket, count: int) -> bytes:
    """So many bytes, or fewer when the connection ends."""
    found = b""
    while len(found) < count and (data := sock.recv(count - len(found))):
        found += data
    return found


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Poll until the condition holds; raises `TimeoutError` that says what did not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come true within {seconds:g} s")
        time.sleep(0.005)
