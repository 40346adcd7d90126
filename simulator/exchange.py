"""One request of a client: from machine to machine until one has an answer for the client."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace

import h11

from simulator.body import Body, Gone
from simulator.events import Delivery, Hop
from simulator.headers import FORGEABLE, HOP_BY_HOP, Headers, Request, transformed, with_arrival, without
from simulator.landing import Landing, Landings, NoLanding
from simulator.legs import Failed, Leg, Way
from simulator.machine import Link
from simulator.replay import Malformed, Replay, carries_replay, needs_body, read_answer
from simulator.steering import HEADERS as STEERING
from simulator.tunnel import Tunnel
from simulator.wire import Wire

_SERVER = "Fly/simulator"


@dataclass
class Exchange:
    """What goes on between a client and machines about one request."""

    edge: str
    client: Wire
    body: Body
    way: Way
    landings: Landings
    status: int = 0
    error: str = ""
    hops: list[Hop] = field(default_factory=list)
    cookies: Headers = ()

    async def run(self) -> None:
        """Answer the client; `Gone` when it left."""
        leg: Leg | None = self.way.first()
        try:
            while leg:
                leg = await self._go(leg)
        except Failed as failure:
            self.way.setting.log.note(failure.code, failure.app, str(failure))
            self.error = failure.code
            await self.answer(failure.status)
        except Gone:
            self._record()
            raise

    async def answer(self, status: int, headers: Headers = ()) -> None:
        """An answer of the proxy itself, without a body."""
        self.status = status
        own = [*headers, ("content-length", "0"), *self._marks()]
        self._record()
        await self._to_client(h11.Response(status_code=status, headers=own), h11.EndOfMessage())

    # a leg

    async def _go(self, leg: Leg) -> Leg | None:
        clock = self.way.setting.clock
        began = clock()
        try:
            landing = await self._find(leg)
        except NoLanding as failure:
            return self.way.after_failure(leg, failure, clock() - began)
        link: Link = landing
        landing.machine.links.add(link)
        try:
            following = await self._with_client(landing, leg)
        finally:
            landing.machine.links.discard(link)
            landing.release()
        if following and not await self.body.fits():
            status, app = self.way.setting.unknowns.oversize_status, landing.machine.identity.app
            raise Failed(status, "PA01", app, "the body is too long to be replayed")
        return following

    async def _find(self, leg: Leg) -> Landing:
        """A machine for a leg, while the client waits."""
        timeout = leg.replay.timeout if leg.replay and leg.reason == "replay" else None
        try:
            async with asyncio.timeout(timeout):
                return await self.landings.find(leg.wish)
        except TimeoutError:
            raise NoLanding("timeout", "PR04", f"no machine within {timeout:g} s") from None

    async def _with_client(self, landing: Landing, leg: Leg) -> Leg | None:
        """Talk to a machine, and meanwhile send it the body; end when the client leaves."""
        try:
            async with asyncio.TaskGroup() as group:
                feeder = group.create_task(self._feed(landing, leg))
                following = await self._converse(landing, leg)
                feeder.cancel()
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        return following

    async def _feed(self, landing: Landing, leg: Leg) -> None:
        request, machine = self._as_told(leg, landing.missed), landing.wire
        with suppress(OSError, h11.LocalProtocolError):
            await machine.send(h11.Request(method=request.method, target=request.target, headers=list(request.headers)))
            async for chunk in self.body.chunks():
                await machine.send(h11.Data(chunk))
            await machine.send(h11.EndOfMessage())
        if self.body.is_complete and not request.is_upgrade:
            await self._watch_client()
        await asyncio.Event().wait()

    async def _watch_client(self) -> None:
        """Raise `Gone` when the client hangs up; what it says beforehand is its next request."""
        while True:
            data = await self.client.reader.read(65_536)
            self.client.http.receive_data(data)
            if not data:
                raise Gone

    def _as_told(self, leg: Leg, missed: str) -> Request:
        unknowns = self.way.setting.unknowns
        request = self.way.request
        if unknowns.strips_forged:
            request = replace(request, headers=without(request.headers, FORGEABLE))
        if leg.reason and not unknowns.steering_stays:
            request = replace(request, headers=without(request.headers, STEERING))
        request = transformed(request, leg.replay.transform if leg.replay else None)
        request = with_arrival(request, self.way.arrival)
        told = leg.told + ((("fly-preferred-instance-unavailable", missed),) if missed else ())
        return replace(request, headers=without(request.headers, [name for name, _ in told]) + told)

    # the answer of a machine

    async def _converse(self, landing: Landing, leg: Leg) -> Leg | None:
        try:
            head = await self._head(landing.wire)
            headers = tuple((name.decode(), value.decode("latin-1")) for name, value in head.headers)
            if head.status_code == 101:
                self.hops.append(Hop(landing.machine.id, 101, reason=leg.reason))
                await self._tunnel(landing, head)
                return None
            is_replay = self._may_replay(landing) and carries_replay(headers)
            self.hops.append(Hop(landing.machine.id, head.status_code, is_replay, leg.reason))
            if not is_replay:
                await self._deliver(landing, head, headers)
                return None
            replayed = await self._read_replay(landing, headers)
        except (h11.RemoteProtocolError, OSError) as problem:
            app, machine = landing.machine.identity.app, landing.machine.id
            if not self.hops or self.hops[-1].machine != machine:
                self.hops.append(Hop(machine, 0, reason=leg.reason))
            raise Failed(502, "PU02", app, f"the machine did not answer: {problem}") from None
        if self.way.setting.unknowns.keeps_cookies:
            self.cookies += tuple(each for each in headers if each[0] == "set-cookie")
        return self.way.after_replay(leg, landing.machine, replayed)

    async def _head(self, machine: Wire) -> h11.Response | h11.InformationalResponse:
        while True:
            event = await machine.next_event()
            if isinstance(event, h11.Response):
                return event
            if isinstance(event, h11.InformationalResponse):
                if event.status_code == 101:
                    return event
                if event.status_code != 100:
                    await self._to_client(event)
            elif isinstance(event, h11.ConnectionClosed):
                raise h11.RemoteProtocolError("closed")

    def _may_replay(self, landing: Landing) -> bool:
        """Does the port have the http handler?"""
        number = self.way.arrival.port
        service = landing.machine.config.service(number)
        port = service.port(number) if service else None
        return port is not None and "http" in port.handlers

    async def _read_replay(self, landing: Landing, headers: Headers) -> Replay:
        unknowns = self.way.setting.unknowns
        body = b""
        if needs_body(headers, unknowns):
            while isinstance(event := await landing.wire.next_event(), h11.Data) and len(body) <= unknowns.json_limit:
                body += bytes(event.data)
        try:
            return read_answer(headers, body, unknowns)
        except Malformed as problem:
            raise Failed(502, "PA03", landing.machine.identity.app, str(problem)) from None

    async def _deliver(
        self, landing: Landing, head: h11.Response | h11.InformationalResponse, headers: Headers
    ) -> None:
        self.status = head.status_code
        self._record()
        kept = [*without(headers, HOP_BY_HOP | {"server", "upgrade"}), *self.cookies, *self._marks()]
        await self._to_client(h11.Response(status_code=head.status_code, headers=kept, reason=head.reason))
        try:
            while not isinstance(event := await landing.wire.next_event(), h11.EndOfMessage | h11.ConnectionClosed):
                if isinstance(event, h11.Data):
                    await self._to_client(h11.Data(event.data))
        except h11.RemoteProtocolError as problem:
            self.way.setting.log.note("PU02", landing.machine.identity.app, str(problem), landing.machine.id)
            self.error = "PU02"
            raise Gone from None
        await self._to_client(h11.EndOfMessage())

    async def _tunnel(self, landing: Landing, head: h11.Response | h11.InformationalResponse) -> None:
        self.status = 101
        self._record()
        await self._to_client(h11.InformationalResponse(status_code=101, headers=head.headers))
        is_websocket = self.way.request.header("upgrade").lower() == "websocket"
        tunnel = Tunnel(self.client, landing.wire, is_websocket=is_websocket)
        landing.machine.links.add(tunnel)
        try:
            await tunnel.run()
        finally:
            landing.machine.links.discard(tunnel)

    # the client

    async def _to_client(self, *events: h11.Event) -> None:
        try:
            await self.client.send(*events)
        except (OSError, h11.LocalProtocolError) as problem:
            raise Gone(str(problem)) from None

    def _marks(self) -> Headers:
        via = ("via", "1.1 fly.io")
        return (("server", _SERVER), via, ("fly-request-id", self.way.arrival.request_id))

    def _record(self) -> None:
        """Before the client has its answer, so that it can rely on the record."""
        request, arrival = self.way.request, self.way.arrival
        delivery = Delivery(
            edge=self.edge,
            port=arrival.port,
            method=request.method,
            host=request.header("host"),
            target=request.target,
            request_id=arrival.request_id,
            hops=tuple(self.hops),
            status=self.status,
            cache=self.way.cache_status,
            error=self.error,
        )
        self.way.setting.log.delivered(delivery)
