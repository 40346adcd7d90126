"""Machines: listed, created, changed, started, stopped, suspended, destroyed, waited for, held."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from aiohttp import web

from simulator.api.problem import Problem
from simulator.api.routes import Route, app_of, changeable, fleet_of, is_true, machine_of, nonce_of, said
from simulator.config import command, read_config, seconds
from simulator.lifecycle import ASLEEP, Event, Refused, State
from simulator.machine import Machine
from simulator.regions import REGIONS, covers

_WAITABLE = {"started", "stopped", "suspended", "destroyed"}


async def create_machine(request: web.Request) -> web.Response:
    """In a region that has room; it starts unless that is not wanted."""
    app, fleet, body = app_of(request), fleet_of(request), await said(request)
    config = read_config(body.get("config", {}))
    command(config, fleet.setting.images)
    name = body.get("name", "")
    if name and any(each.identity.name == name for each in fleet.registry.machines_of(app.name)):
        raise Problem(HTTPStatus.CONFLICT, "already_exists: unique machine name violation")
    region = _region(request, str(body.get("region") or fleet.edges[0].region))
    for mount in config.mounts:
        volume = fleet.registry.volumes.get(mount.volume)
        if not volume or (volume.app, volume.region, volume.machine) != (app.name, region, ""):
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the volume is elsewhere, or another machine has it")
    if region in fleet.flaps.capacity:
        fleet.flaps.capacity[region] -= 1
    starts = not body.get("skip_launch", False)
    machine = await fleet.create(app.name, region, body["config"], name=name, start=starts)
    return web.json_response(_document(machine) | _leased(request, machine, body))


def _region(request: web.Request, wanted: str) -> str:
    """The first region that is meant and has room."""
    fleet = fleet_of(request)
    meant = [code for each in wanted.split(",") for code in REGIONS if covers(each, code)]
    if not meant:
        raise Problem(HTTPStatus.BAD_REQUEST, f"invalid_argument: region {wanted!r}")
    room = [each for each in meant if fleet.flaps.capacity.get(each, 1) > 0]
    if not room:
        status = fleet.setting.unknowns.capacity_status
        raise Problem(status, "insufficient resources available to fulfill request", "insufficient_capacity")
    return room[0]


def _leased(request: web.Request, machine: Machine, body: dict[str, Any]) -> dict[str, str]:
    ttl = body.get("lease_ttl")
    return {"nonce": fleet_of(request).flaps.leases.take(machine.id, nonce_of(request), ttl, "").nonce} if ttl else {}


async def list_machines(request: web.Request) -> web.Response:
    """Those of an app; by region and metadata, and also those that are gone, if that is wanted."""
    app, registry = app_of(request), fleet_of(request).registry
    found = registry.machines_of(app.name)
    if is_true(request, "include_deleted"):
        found = [each for each in registry.machines.values() if each.identity.app == app.name]
    wanted = {key.removeprefix("metadata."): value for key, value in request.query.items() if "metadata." in key}
    region = request.query.get("region", "")
    found = [each for each in found if region in ("", each.identity.region)]
    found = [each for each in found if all(each.metadata.get(key) == value for key, value in wanted.items())]
    return web.json_response([_document(each) for each in found])


async def get_machine(request: web.Request) -> web.Response:
    """One."""
    return web.json_response(_document(machine_of(request)))


async def update_machine(request: web.Request) -> web.Response:
    """Replace the whole configuration; the machine stops before, and its memory is lost."""
    machine, fleet, body = changeable(request), fleet_of(request), await said(request)
    if body.get("current_version") not in (None, "", machine.instance_id):
        raise Problem(HTTPStatus.CONFLICT, "aborted: the version is another one")
    if body.get("region") not in (None, "", machine.identity.region):
        raise Problem(HTTPStatus.BAD_REQUEST, "invalid_argument: the region cannot be changed")
    config = read_config(body.get("config", {}))
    command(config, fleet.setting.images)
    await machine.rest("user")
    machine.configure(body["config"])
    if not body.get("skip_launch", False):
        machine.begin_start("user")
    return web.json_response(_document(machine) | _leased(request, machine, body))


async def start_machine(request: web.Request) -> web.Response:
    """Start or resume it; one that runs stays as it is."""
    previous = changeable(request).begin_start("user")
    return web.json_response({"previous_state": previous.value, "migrated": False, "new_host": ""})


async def stop_machine(request: web.Request) -> web.Response:
    """With another signal and another grace, if given."""
    body = await said(request)
    grace = seconds(body["timeout"]) if body.get("timeout") else None
    changeable(request).stop("user", str(body.get("signal") or ""), grace)
    return web.json_response({"ok": True})


async def suspend_machine(request: web.Request) -> web.Response:
    """The answer comes before it is suspended."""
    changeable(request).suspend("user")
    return web.json_response({"ok": True})


async def restart_machine(request: web.Request) -> web.Response:
    """Stop and start."""
    machine = changeable(request)
    await machine.rest("user")
    machine.begin_start("user")
    return web.json_response({"ok": True})


async def destroy_machine(request: web.Request) -> web.Response:
    """By force also one that runs; its volume stays."""
    machine, fleet = changeable(request), fleet_of(request)
    if machine.state not in ASLEEP and not is_true(request, "force", "kill"):
        raise Refused(machine.state, Event.DESTROY)
    await machine.destroy("user")
    for volume in fleet.registry.volumes.values():
        volume.machine = "" if volume.machine == machine.id else volume.machine
    return web.json_response({"ok": True})


async def wait_machine(request: web.Request) -> web.Response:
    """Until it is in a state, for at most a minute."""
    machine, limit = machine_of(request), fleet_of(request).setting.tempo.wait_limit
    wanted = request.query.get("state", "started")
    version = request.query.get("instance_id") or request.query.get("version", "")
    if wanted not in _WAITABLE or (wanted == "stopped" and not version):
        raise Problem(HTTPStatus.BAD_REQUEST, "invalid_argument: state, or instance_id is missing")
    timeout = min(float(request.query.get("timeout") or limit), limit)
    try:
        async with asyncio.timeout(timeout):
            await machine.wait(State(wanted))
    except TimeoutError:
        said = f"deadline_exceeded: machine failed to reach desired state, {wanted}, currently {machine.state.value}"
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, said) from None
    return web.json_response({"ok": True})


async def cordon_machine(request: web.Request) -> web.Response:
    """Out of the proxy's routing, or back."""
    changeable(request).cordoned = not request.path.endswith("/uncordon")
    return web.json_response({"ok": True})


async def events(request: web.Request) -> web.Response:
    """The newest twenty."""
    return web.json_response(list(machine_of(request).events))


def _document(machine: Machine) -> dict[str, Any]:
    identity = machine.identity
    return {
        "id": machine.id,
        "name": identity.name,
        "state": machine.state.value,
        "region": identity.region,
        "instance_id": machine.instance_id,
        "private_ip": identity.address,
        "config": {**machine.doc, "metadata": machine.metadata},
        "events": list(machine.events),
        "checks": [{"name": "services", "status": "passing" if machine.healthy else "critical"}],
        "host_status": "ok",
        "updated_at": datetime.fromtimestamp(machine.updated_at, UTC).isoformat(),
    }


_ALL = "/apps/{app}/machines"
_ONE = _ALL + "/{machine}"
ROUTES = (
    Route("POST", _ALL, "create_machine", create_machine),
    Route("GET", _ALL, "list_machines", list_machines),
    Route("GET", _ONE, "get_machine", get_machine),
    Route("POST", _ONE, "update_machine", update_machine),
    Route("DELETE", _ONE, "destroy_machine", destroy_machine),
    Route("POST", f"{_ONE}/start", "start", start_machine),
    Route("POST", f"{_ONE}/stop", "stop", stop_machine),
    Route("POST", f"{_ONE}/suspend", "suspend", suspend_machine),
    Route("POST", f"{_ONE}/restart", "restart", restart_machine),
    Route("GET", f"{_ONE}/wait", "wait", wait_machine),
    Route("POST", f"{_ONE}/cordon", "cordon", cordon_machine),
    Route("POST", f"{_ONE}/uncordon", "uncordon", cordon_machine),
    Route("GET", f"{_ONE}/events", "events", events),
)
