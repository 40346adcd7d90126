"""fly.toml: written from a shape, and compared with one. Text in, text or sentences out."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

from atcgen.compiler.environment import OVERRIDABLE
from atcgen.compiler.targets.fly_shape import Shape

FILE = "fly.toml"
_MARK = "# Made by `atc build` from atc.yml."
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "": 1}
_SIZES = {"": 1, "mb": 1, "gb": 1024}


def fly_toml(shape: Shape, region: str, variables: tuple[str, ...]) -> str:
    """The file; `variables` that machines need are named for whoever sets them."""
    head = [f"app = {_text(shape.app)}" if shape.app else '# app = "NAME"']
    head += [f"primary_region = {_text(region)}"] if region else []
    image = ["[build]", f"  image = {_text(shape.image)}", ""] if shape.image else []
    lines = [
        _MARK,
        *head,
        'kill_signal = "SIGTERM"',
        f"kill_timeout = {shape.kill_timeout}",
        "",
        *image,
        "[env]",
        *(f"  # {each}: atc.yml needs it; set it here, or with `fly secrets set`" for each in variables),
        "",
        "[http_service]",
        f"  internal_port = {shape.port}",
        "  force_https = true",
        "  # Machines suspend themselves when nobody uses them.",
        '  auto_stop_machines = "off"',
        "  auto_start_machines = true",
        "  min_machines_running = 0",
        "",
        "  # nginx answers it; no tenant is woken.",
        "  [[http_service.checks]]",
        '    method = "GET"',
        f"    path = {_text(shape.health)}",
        '    interval = "30s"',
        '    timeout = "5s"',
        '    grace_period = "10s"',
        "",
        "[[mounts]]",
        '  source = "atc"',
        f"  destination = {_text(shape.mount)}",
        f'  initial_size = "{shape.volume_gb}gb"',
        "",
        "[[vm]]",
        f'  cpu_kind = "{shape.guest.kind}"',
        f"  cpus = {shape.guest.cpus}",
        f'  memory = "{shape.guest.memory_mb}mb"',
        "",
        "[[restart]]",
        '  policy = "on-failure"',
    ]
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def disagreements(text: str, shape: Shape, *, app: str = "", sized: bool = True) -> Iterator[tuple[int, str]]:
    """Each thing that the file says otherwise than atc.yml, with its line: what it is, and what it should be.

    `app` and `sized` say whether atc.yml names the app and the size at all.
    """
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        found = re.search(r"line (\d+)", str(problem))
        yield int(found[1]) if found else 1, f"is no TOML: {problem}"
        return
    name, service = _service(said)
    for section, key, value, wanted, agrees in (
        *_expected(said, name, service, shape, app),
        *(_sizes(said, shape) if sized else ()),
    ):
        if not agrees:
            dotted = f"{section}.{key}" if section else key
            is_what = "is missing" if value is None else f"is {_shown(value)}"
            yield _line(text, section, key), f"{dotted} {is_what}; {wanted}"


def _expected(
    said: dict[str, Any], name: str, service: dict[str, Any], shape: Shape, app: str
) -> Iterator[tuple[str, str, Any, str, bool]]:
    """Section, key, value, what it should be, and whether it is."""
    yield "", "app", said.get("app"), f"fleet.app is {_text(app)}", not app or said.get("app") == app
    signal, timeout = said.get("kill_signal"), said.get("kill_timeout")
    yield "", "kill_signal", signal, 'atc ends on "SIGTERM"', signal == "SIGTERM"
    wanted = f"server.kill_timeout is {shape.kill_timeout}"
    yield "", "kill_timeout", timeout, wanted, _seconds(5 if timeout is None else timeout) == shape.kill_timeout
    swap = said.get("swap_size_mb")
    yield "", "swap_size_mb", swap, "a machine with swap cannot be suspended", not swap
    port, stop = service.get("internal_port"), service.get("auto_stop_machines", "off")
    wanted = f"server.http_port is {shape.port}"
    yield name, "internal_port", port, wanted, (8080 if port is None else port) == shape.port
    wanted = 'machines suspend themselves: it should be "off"'
    yield name, "auto_stop_machines", stop, wanted, stop in ("off", False)
    start, least = service.get("auto_start_machines", True), service.get("min_machines_running", 0)
    yield name, "auto_start_machines", start, "a request has to start them: it should be true", start is True
    yield name, "min_machines_running", least, "it should be 0, so that machines sleep", least == 0
    for each in (*_tables(service.get("checks")), *_tables(service.get("http_checks"))):
        path = each.get("path", "/")
        wanted = f'only "{shape.health}" (server.health_check_path) wakes nobody'
        yield f"{name}.checks", "path", path, wanted, path == shape.health
    mounts = [each.get("destination", "") for each in _tables(said.get("mounts"))]
    has_room = any(f"{shape.mount}/".startswith(f"{each.rstrip('/')}/") for each in mounts if each)
    wanted = f"storage.volume needs a disk at {shape.mount}"
    yield "mounts", "destination", ", ".join(mounts) or None, wanted, has_room
    for each in _tables(said.get("restart")):
        policy = each.get("policy")
        yield "restart", "policy", policy, 'it should be "on-failure"', policy in (None, "on-failure")
    for variable, value in said.get("env", {}).items():
        key = variable.removeprefix("THRUSTER_").lower()
        yield "env", variable, value, f"it overrides server.{key}", key not in OVERRIDABLE


def _sizes(said: dict[str, Any], shape: Shape) -> Iterator[tuple[str, str, Any, str, bool]]:
    guest = shape.guest
    for each in _tables(said.get("vm")):
        size, memory = each.get("size"), each.get("memory", each.get("memory_mb"))
        preset = f"{'shared-cpu' if guest.kind == 'shared' else guest.kind}-{guest.cpus}x"
        yield "vm", "size", size, f'fleet.machine.size is "{preset}"', size in (None, preset)
        wanted = f"fleet.machine has {guest.memory_mb} MB"
        yield "vm", "memory", memory, wanted, memory is None or _megabytes(memory) == guest.memory_mb


def _service(said: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The service that speaks HTTP, in either of its two forms."""
    if "http_service" in said:
        return "http_service", next(_tables(said["http_service"]), {})
    return "services", next(_tables(said.get("services")), {})


def _tables(value: object) -> Iterator[dict[str, Any]]:
    """`[x]` and `[[x]]` are both allowed at many places."""
    yield from (each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict))


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _seconds(value: object) -> float | None:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|)", str(value))
    return float(found[1]) * _UNITS[found[2]] if found else None


def _megabytes(value: object) -> int | None:
    found = re.fullmatch(r"(\d+)\s*(mb|gb|)", str(value).lower())
    return int(found[1]) * _SIZES[found[2]] if found else None


def _line(text: str, section: str, key: str) -> int:
    """The line of a key, or of its section, or the first."""
    best, current = 1, ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[+\s*([A-Za-z0-9_.\"-]+)\s*\]+", line):
            current = header[1].replace('"', "")
            best = number if current == section else best
        elif current == section and re.match(rf"\s*\"?{re.escape(key)}\"?\s*=", line):
            return number
    return best
