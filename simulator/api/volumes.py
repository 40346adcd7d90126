"""Volumes: directories that stay when a machine goes."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from aiohttp import web

from simulator.api.problem import Problem
from simulator.api.routes import Route, app_of, fleet_of, said
from simulator.regions import REGIONS
from simulator.registry import Volume

_LARGEST = 500  # GB
_USUAL = 3


async def create_volume(request: web.Request) -> web.Response:
    """An empty one."""
    app, fleet, body = app_of(request), fleet_of(request), await said(request)
    name, region, size = body.get("name", ""), body.get("region", ""), body.get("size_gb", _USUAL)
    if not name or region not in REGIONS:
        raise Problem(HTTPStatus.BAD_REQUEST, "name and region are required")
    if not isinstance(size, int) or not 1 <= size <= _LARGEST:
        raise Problem(HTTPStatus.BAD_REQUEST, f"size_gb is 1 to {_LARGEST}")
    same = [each for each in _volumes(request, app.name) if (each.name, each.region) == (name, region)]
    if body.get("require_unique_zone", True) and len(same) >= fleet.setting.unknowns.zones_per_region:
        status = fleet.setting.unknowns.capacity_status
        raise Problem(status, "insufficient resources to satisfy a unique zone", "insufficient_capacity")
    return web.json_response(_document(fleet.new_volume(app.name, region, name, size)))


async def list_volumes(request: web.Request) -> web.Response:
    """All of an app."""
    return web.json_response([_document(each) for each in _volumes(request, app_of(request).name)])


async def get_volume(request: web.Request) -> web.Response:
    """One."""
    return web.json_response(_document(_volume(request)))


async def extend_volume(request: web.Request) -> web.Response:
    """Make it larger; it never shrinks."""
    volume, body = _volume(request), await said(request)
    size = body.get("size_gb")
    if not isinstance(size, int) or not volume.size_gb <= size <= _LARGEST:
        raise Problem(HTTPStatus.BAD_REQUEST, f"size_gb is {volume.size_gb} to {_LARGEST}")
    volume.size_gb = size
    return web.json_response({"needs_restart": bool(volume.machine), "volume": _document(volume)})


async def delete_volume(request: web.Request) -> web.Response:
    """Only one that no machine has."""
    volume, fleet = _volume(request), fleet_of(request)
    if volume.machine:
        raise Problem(fleet.setting.unknowns.precondition_status, "failed_precondition: volume is attached")
    fleet.registry.drop_volume(volume)
    return web.json_response({**_document(volume), "state": "pending_destroy"})


def _volumes(request: web.Request, app: str) -> list[Volume]:
    return [each for each in fleet_of(request).registry.volumes.values() if each.app == app]


def _volume(request: web.Request) -> Volume:
    app = app_of(request)
    volume = fleet_of(request).registry.volumes.get(request.match_info["volume"])
    if not volume or volume.app != app.name:
        raise Problem(HTTPStatus.NOT_FOUND, "volume not found")
    return volume


def _document(volume: Volume) -> dict[str, Any]:
    return {
        "id": volume.id,
        "name": volume.name,
        "state": "created",
        "region": volume.region,
        "size_gb": volume.size_gb,
        "attached_machine_id": volume.machine or None,
        "created_at": datetime.fromtimestamp(volume.created_at, UTC).isoformat(),
    }


ROUTES = (
    Route("POST", "/apps/{app}/volumes", "create_volume", create_volume),
    Route("GET", "/apps/{app}/volumes", "list_volumes", list_volumes),
    Route("GET", "/apps/{app}/volumes/{volume}", "get_volume", get_volume),
    Route("PUT", "/apps/{app}/volumes/{volume}/extend", "extend_volume", extend_volume),
    Route("DELETE", "/apps/{app}/volumes/{volume}", "delete_volume", delete_volume),
)
