"""Leases and metadata of machines."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from simulator.api.leases import Lease
from simulator.api.problem import Problem
from simulator.api.routes import Route, changeable, fleet_of, machine_of, nonce_of, said

_USUAL_TTL = 30  # seconds


async def take_lease(request: web.Request) -> web.Response:
    """Hold a machine, or hold it longer."""
    machine, body = machine_of(request), await said(request)
    ttl = float(body.get("ttl") or request.query.get("ttl") or _USUAL_TTL)
    leases = fleet_of(request).flaps.leases
    lease = leases.take(machine.id, nonce_of(request), ttl, body.get("description", ""))
    return web.json_response({"status": "success", "data": _document(lease)}, status=HTTPStatus.CREATED)


async def get_lease(request: web.Request) -> web.Response:
    """Who holds it."""
    lease = fleet_of(request).flaps.leases.current(machine_of(request).id)
    if not lease:
        raise Problem(HTTPStatus.NOT_FOUND, "lease not found")
    return web.json_response({"status": "success", "data": _document(lease) | {"nonce": ""}})


async def release_lease(request: web.Request) -> web.Response:
    """Give it back."""
    fleet_of(request).flaps.leases.release(machine_of(request).id, nonce_of(request))
    return web.json_response({"ok": True})


async def get_metadata(request: web.Request) -> web.Response:
    """All of it."""
    return web.json_response(machine_of(request).metadata)


async def set_metadata(request: web.Request) -> web.Response:
    """One value; the machine is not restarted."""
    machine, body = changeable(request), await said(request)
    machine.metadata[request.match_info["key"]] = str(body.get("value", ""))
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def delete_metadata(request: web.Request) -> web.Response:
    """One value."""
    changeable(request).metadata.pop(request.match_info["key"], None)
    return web.Response(status=HTTPStatus.NO_CONTENT)


def _document(lease: Lease) -> dict[str, object]:
    return {"nonce": lease.nonce, "expires_at": int(lease.until), "description": lease.description}


_ONE = "/apps/{app}/machines/{machine}"
ROUTES = (
    Route("POST", f"{_ONE}/lease", "take_lease", take_lease),
    Route("GET", f"{_ONE}/lease", "get_lease", get_lease),
    Route("DELETE", f"{_ONE}/lease", "release_lease", release_lease),
    Route("GET", f"{_ONE}/metadata", "get_metadata", get_metadata),
    Route("POST", f"{_ONE}/metadata/{{key}}", "set_metadata", set_metadata),
    Route("DELETE", f"{_ONE}/metadata/{{key}}", "delete_metadata", delete_metadata),
)
