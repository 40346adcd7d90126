"""An edge of the proxy: it listens for clients in one region."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import replace

import h11

from simulator.body import Body, Gone
from simulator.caches import Caches, Visit
from simulator.description import EdgeSpec
from simulator.exchange import Exchange
from simulator.headers import HOP_BY_HOP, Arrival, Headers, Request, ulid, without
from simulator.landing import Landings
from simulator.legs import Way
from simulator.registry import App, Registry
from simulator.setting import Setting
from simulator.wire import Wire


class Edge:
    """Where clients of one region arrive; each external port has one of the loopback interface."""

    def __init__(self, spec: EdgeSpec, registry: Registry, setting: Setting, caches: Caches) -> None:
        self.region = spec.region
        self.ports = dict(spec.ports)
        self.caches = caches
        self._registry = registry
        self._setting = setting
        self._landings = Landings(registry, setting, spec.lag)
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where a client asks to arrive at port 443, or else at the first; always without TLS."""
        return self.url_at(443 if 443 in self.ports else next(iter(self.ports)))

    def url_at(self, port: int) -> str:
        """Where a client asks to arrive at an external port."""
        return f"http://127.0.0.1:{self.ports[port]}"

    async def open(self) -> None:
        """Begin to listen; a port that was given as 0 is a free one."""
        for number, wanted in self.ports.items():

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int = number) -> None:
                await self._connection(Wire(h11.SERVER, reader, writer), number)

            server = await asyncio.start_server(serve, "127.0.0.1", wanted)
            self._servers.append(server)
            self.ports[number] = server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listen no more, and drop everybody."""
        for server in self._servers:
            server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()

    async def _connection(self, wire: Wire, port: int) -> None:
        task = asyncio.current_task()
        if task:
            self._open.add(task)
        try:
            while await self._request(wire, port):
                wire.http.start_next_cycle()
        except (Gone, OSError, h11.LocalProtocolError):
            wire.abort()
        except h11.RemoteProtocolError:
            with suppress(OSError, h11.LocalProtocolError):
                headers = [("content-length", "0"), ("connection", "close")]
                await wire.send(h11.Response(status_code=400, headers=headers), h11.EndOfMessage())
        except asyncio.CancelledError:
            wire.abort()
        finally:
            wire.close()
            if task:
                self._open.discard(task)

    async def _request(self, wire: Wire, port: int) -> bool:
        """Serve one request; may another one follow on the connection?"""
        said = await wire.next_event()
        if not isinstance(said, h11.Request):
            return False
        request = _read(said)
        app = self._registry.app_at(request.header("host"))
        if not app or not app.ip:
            self._setting.log.note("no-address", app.name if app else "", f"nobody at {request.header('host')!r}")
            raise Gone
        exchange = self._exchange(wire, request, app, port)
        if port == 80 and any(each.force_https for each in self._registry.ports(app.name, port)):
            location = f"https://{request.header('host').partition(':')[0]}{request.target}"
            await exchange.answer(301, (("location", location),))
        else:
            await exchange.run()
        done = (h11.DONE, h11.DONE)
        return (wire.http.our_state, wire.http.their_state) == done

    def _exchange(self, wire: Wire, request: Request, app: App, port: int) -> Exchange:
        setting = self._setting
        now = time.time()
        request_id = f"{ulid(now, setting.rng)}-{self.region}"
        peer = wire.writer.get_extra_info("peername")[0]
        arrival = Arrival(self.region, port, peer, app.ip, request_id, now)
        visit = Visit(request.header("host"), request.path, dict(request.headers))
        way = Way(request, arrival, app.name, visit, self.caches, self._registry, setting)
        body = Body(wire, setting.unknowns.replay_limit)
        return Exchange(self.region, wire, body, way, self._landings)


def _read(said: h11.Request) -> Request:
    """A request without what is only meant for this connection; an upgrade is passed on."""
    headers: Headers = tuple((name.decode(), value.decode("latin-1")) for name, value in said.headers)
    request = Request(said.method.decode(), said.target.decode("latin-1"), headers)
    tokens = [each.strip().lower() for each in request.header("connection").split(",") if each.strip()]
    named = {*tokens, *HOP_BY_HOP}
    if "upgrade" not in tokens or not request.header("upgrade"):
        return replace(request, headers=without(headers, named | {"upgrade"}))
    kept = without(headers, named - {"upgrade"})
    return replace(request, headers=(*kept, ("connection", "Upgrade")), is_upgrade=True)
