"""The server of the API: who may call what how often, and what shall fail."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from simulator.api import apps, holding, machines, volumes
from simulator.api.calls import Call, Calls, Injection
from simulator.api.leases import Held, Leases
from simulator.api.problem import Problem
from simulator.api.routes import FLEET, OWN, SCOPE, Route
from simulator.config import BadConfig
from simulator.lifecycle import Refused
from simulator.limits import DELETING_APPS, READING_ONE, USUAL, Limits
from simulator.machine import Machine

if TYPE_CHECKING:
    from simulator.fleet import Fleet

_ROUTES: tuple[Route, ...] = (*apps.ROUTES, *machines.ROUTES, *holding.ROUTES, *volumes.ROUTES)
_RATES = {"get_machine": READING_ONE, "delete_app": DELETING_APPS}
_APP_TOKEN = "FlyV1 fm2_app_"
_MOST_BODY = 8 * 1024**2
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Flaps:
    """The Machines API of one simulation."""

    def __init__(self, fleet: Fleet, token: str) -> None:
        self.token = token
        self.calls = Calls()
        self.capacity: dict[str, int] = {}  # how many machines a region still takes; unlimited if not named
        self.leases = Leases(time.time, fleet.setting.rng)
        self.url = ""
        self._fleet = fleet
        self._limits = Limits(fleet.setting.clock)
        self._runners: list[web.AppRunner] = []

    async def open(self, port: int) -> None:
        """Begin to listen."""
        runner = await self._runner(None)
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        host, bound, *_ = runner.addresses[0]
        self.url = f"http://{host}:{bound}"

    async def open_socket(self, machine: Machine) -> None:
        """The socket of one machine, in place of /.fly/api."""
        runner = await self._runner(machine)
        await web.UnixSite(runner, str(machine.identity.api_socket)).start()

    async def close(self) -> None:
        """Listen no more."""
        for runner in self._runners:
            await runner.cleanup()

    @staticmethod
    def app_token(app: str) -> str:
        """A token that is good for one app only."""
        return f"{_APP_TOKEN}{app}"

    def inject(self, injection: Injection) -> None:
        """Let a call fail."""
        self.calls.injected.append(injection)

    async def _runner(self, own: Machine | None) -> web.AppRunner:
        application = web.Application(middlewares=[self._counted, self._answered], client_max_size=_MOST_BODY)
        application[FLEET] = self._fleet
        application[OWN] = own
        for route in _ROUTES:
            application.router.add_route(route.method, f"/v1{route.path}", route.handler, name=route.action)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        self._runners.append(runner)
        return runner

    @web.middleware
    async def _counted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        number = self.calls.begin()
        for when in ("before", "after"):
            if when == "after":
                said = await handler(request)
            if injection := self.calls.injection(number, when):
                said = Problem(injection.status or 500, f"injected {when}").response()
                self._note(number, request, injection.status)
                if not injection.status and request.transport:
                    request.transport.abort()
                return said
        self._note(number, request, said.status)
        return said

    def _note(self, number: int, request: web.Request, status: int) -> None:
        self.calls.seen.append(Call(number, request.method, request.path_qs, status))

    @web.middleware
    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            self._admit(request)
            return await handler(request)
        except Problem as problem:
            return problem.response()
        except Held as problem:
            return Problem(HTTPStatus.CONFLICT, str(problem)).response()
        except Refused as problem:
            status = self._fleet.setting.unknowns.precondition_status
            return Problem(status, f"failed_precondition: {problem}").response()
        except (BadConfig, ValueError) as problem:
            return Problem(HTTPStatus.BAD_REQUEST, f"invalid_argument: {problem}").response()
        except web.HTTPException as problem:
            return Problem(problem.status, problem.reason).response()

    def _admit(self, request: web.Request) -> None:
        """Who is it, may they, and how often?"""
        action = request.match_info.route.name or ""
        app, machine = request.match_info.get("app", ""), request.match_info.get("machine", "")
        unknowns = self._fleet.setting.unknowns
        own = request.app[OWN]
        if own:
            if (app, machine) != (own.identity.app, own.id) or action not in unknowns.socket_allows:
                raise Problem(HTTPStatus.FORBIDDEN, "not allowed at the socket of a machine")
            request[SCOPE] = app
        else:
            request[SCOPE] = self._scope(request.headers.get("authorization", ""))
            if request[SCOPE] not in ("", app):
                raise Problem(HTTPStatus.FORBIDDEN, "the token is for another app")
        key = (action, machine or app or request[SCOPE])
        if unknowns.rate_limits and not self._limits.admit(key, _RATES.get(action, USUAL)):
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "rate limit exceeded")

    def _scope(self, authorization: str) -> str:
        """The app that a token is good for; '' is the organization."""
        said = authorization.removeprefix("Bearer ")
        if said == self.token:
            return ""
        if said.startswith(_APP_TOKEN) and len(said) > len(_APP_TOKEN):
            return said.removeprefix(_APP_TOKEN)
        raise Problem(HTTPStatus.UNAUTHORIZED, "unauthorized")
