"""Apps, their addresses, and the regions."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from aiohttp import web

from simulator.api.problem import Problem
from simulator.api.routes import SCOPE, Route, app_of, fleet_of, said
from simulator.regions import REGIONS
from simulator.registry import App, NameTaken


async def create_app(request: web.Request) -> web.Response:
    """A new app, with a network of its own if one is named."""
    body = await said(request)
    if request[SCOPE]:
        raise Problem(HTTPStatus.FORBIDDEN, "the token cannot create apps")
    name = body.get("app_name") or body.get("name")
    if not name or not body.get("org_slug"):
        raise Problem(HTTPStatus.BAD_REQUEST, "app_name and org_slug are required")
    try:
        app = App(name, body["org_slug"], body.get("network") or "default")
        fleet_of(request).registry.add_app(app)
    except NameTaken:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "Name has already been taken", "name_taken") from None
    return web.json_response(_document(request, app), status=HTTPStatus.CREATED)


async def list_apps(request: web.Request) -> web.Response:
    """The apps of an organization."""
    org = request.query.get("org_slug", "")
    found = [_document(request, each) for each in fleet_of(request).registry.apps.values() if each.org == org]
    return web.json_response({"total_apps": len(found), "apps": found})


async def get_app(request: web.Request) -> web.Response:
    """One."""
    return web.json_response(_document(request, app_of(request)))


async def delete_app(request: web.Request) -> web.Response:
    """With its machines and volumes."""
    app, fleet = app_of(request), fleet_of(request)
    await asyncio.gather(*(each.destroy("user") for each in fleet.registry.machines_of(app.name)))
    for volume in [each for each in fleet.registry.volumes.values() if each.app == app.name]:
        fleet.registry.drop_volume(volume)
    del fleet.registry.apps[app.name]
    return web.Response(status=HTTPStatus.ACCEPTED)


async def assign_ip(request: web.Request) -> web.Response:
    """An address, by which the outside reaches the app."""
    body = await said(request)
    given = fleet_of(request).registry.give_address(app_of(request), body.get("type", "shared_v4"))
    return web.json_response({"ip": given["ip"], "shared": given["type"] == "shared_v4", "region": "global"})


async def list_ips(request: web.Request) -> web.Response:
    """The addresses."""
    return web.json_response({"ips": app_of(request).ips})


async def release_ip(request: web.Request) -> web.Response:
    """Give one back."""
    app = app_of(request)
    app.ips = [each for each in app.ips if each["ip"] != request.match_info["ip"]]
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def regions(request: web.Request) -> web.Response:
    """Where machines can be."""
    found = [
        {"code": code, "latitude": north, "longitude": east, "geo_region": group, "capacity": _capacity(request, code)}
        for code, (north, east, group) in REGIONS.items()
    ]
    return web.json_response({"Regions": found, "Nearest": fleet_of(request).edges[0].region})


def _capacity(request: web.Request, region: str) -> int:
    return fleet_of(request).flaps.capacity.get(region, 1000)


def _document(request: web.Request, app: App) -> dict[str, Any]:
    machines = fleet_of(request).registry.machines_of(app.name)
    return {
        "id": app.name,
        "name": app.name,
        "organization": {"slug": app.org, "name": app.org},
        "network": app.network,
        "status": "deployed" if machines else "pending",
        "machine_count": len(machines),
        "volume_count": sum(each.app == app.name for each in fleet_of(request).registry.volumes.values()),
    }


ROUTES = (
    Route("POST", "/apps", "create_app", create_app),
    Route("GET", "/apps", "list_apps", list_apps),
    Route("GET", "/apps/{app}", "get_app", get_app),
    Route("DELETE", "/apps/{app}", "delete_app", delete_app),
    Route("POST", "/apps/{app}/ip_assignments", "assign_ip", assign_ip),
    Route("GET", "/apps/{app}/ip_assignments", "list_ips", list_ips),
    Route("DELETE", "/apps/{app}/ip_assignments/{ip}", "release_ip", release_ip),
    Route("GET", "/platform/regions", "regions", regions),
)
