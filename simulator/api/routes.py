"""What handlers of the API share: how they are named, and where they find what a request is about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import web

from simulator.api.problem import Problem
from simulator.lifecycle import State
from simulator.machine import Machine
from simulator.registry import App

if TYPE_CHECKING:
    from simulator.fleet import Fleet

FLEET: web.AppKey[Fleet] = web.AppKey("fleet")
OWN: web.AppKey[Machine | None] = web.AppKey("own")
SCOPE = web.RequestKey("scope", str)


@dataclass(frozen=True)
class Route:
    """An action: its name is what rates are counted by."""

    method: str
    path: str
    action: str
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]


def fleet_of(request: web.Request) -> Fleet:
    """The simulation."""
    return request.app[FLEET]


async def said(request: web.Request) -> dict[str, Any]:
    """The body; {} if there is none."""
    text = await request.text()
    if not text.strip():
        return {}
    try:
        found = await request.json()
    except ValueError:
        raise Problem(HTTPStatus.BAD_REQUEST, "the body is not JSON") from None
    if not isinstance(found, dict):
        raise Problem(HTTPStatus.BAD_REQUEST, "the body is not an object")
    return found


def app_of(request: web.Request) -> App:
    """The app of the path."""
    app = fleet_of(request).registry.apps.get(request.match_info["app"])
    if not app:
        raise Problem(HTTPStatus.NOT_FOUND, "Could not find App")
    return app


def machine_of(request: web.Request) -> Machine:
    """The machine of the path; one that was destroyed can still be read."""
    app = app_of(request)
    machine = fleet_of(request).registry.machines.get(request.match_info["machine"])
    if not machine or machine.identity.app != app.name:
        raise Problem(HTTPStatus.NOT_FOUND, "machine not found")
    return machine


def changeable(request: web.Request) -> Machine:
    """The machine of the path, if it exists and nobody else holds it."""
    machine = machine_of(request)
    if machine.state is State.DESTROYED:
        raise Problem(HTTPStatus.NOT_FOUND, "machine not found")
    fleet_of(request).flaps.leases.check(machine.id, nonce_of(request))
    return machine


def nonce_of(request: web.Request) -> str:
    """The lease that a caller says it has."""
    return request.headers.get("fly-machine-lease-nonce", "")


def is_true(request: web.Request, *names: str) -> bool:
    """Is one of these parameters set?"""
    return any(request.query.get(each, "").lower() in ("true", "1") for each in names)
