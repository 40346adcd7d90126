"""Gather the facts about this machine that the compiler needs."""

from __future__ import annotations

import json
import os
import pwd
import re
import resource
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Any

from atcgen.compiler.plan import BESIDE, Host
from atcgen.errors import Unavailable
from atcgen.system import fly_api
from atcgen.system.connections import listening_ports
from atcgen.system.mounts import can_mount
from atcgen.system.private import holds_data
from atcgen.system.processes import can_prefer
from atcgen.system.roots import read_held

_NEEDED = ("http_auth_request_module", "http_realip_module", "http_gzip_static_module", "http_stub_status_module")


def gather_host(
    base: Path,
    state: Path,
    environ: Mapping[str, str],
    *,
    command: tuple[str, ...] = (),
    has_file: bool = True,
    serving: bool = False,
    region: str | None = None,
    instance: str | None = None,
) -> Host:
    """The machine as it is. Raises `Unavailable` when nginx cannot do what is needed, or is missing for `serving`."""
    return Host(
        base=str(base),
        state=str(state),
        environ=dict(environ),
        command=command,
        has_file=has_file,
        is_directory=os.path.isdir,
        holds_data=holds_data,
        serving=serving,
        fly_api=fly_api.socket_of(environ),
        ports=_ports(state),
        ports_taken=_listening(),
        roots=read_held(state).roots,
        beside=_beside(base),
        cpus=len(os.sched_getaffinity(0)),
        user=pwd.getpwuid(os.geteuid()).pw_name,
        is_root=os.geteuid() == 0,
        can_mount=can_mount(),
        can_prefer=can_prefer(),
        unix_users=frozenset(each.pw_name for each in pwd.getpwall()),
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        has_ipv6=_has_ipv6(),
        nginx_version=nginx_version() if serving or shutil.which("nginx") else (),
        python=sys.executable,
        litestream=find_litestream() or "litestream",
        shims=str(resources.files("atcgen.platforms") / "shims"),
        region=region or environ.get("FLY_REGION") or environ.get("ATC_REGION"),
        instance=instance or environ.get("FLY_MACHINE_ID") or environ.get("ATC_MACHINE"),
        resolvers=_resolvers(),
        authorities=ssl.get_default_verify_paths().cafile or "",
        secret=master_secret(state) if serving else _known_secret(state),
    )


def running_place(state: Path) -> tuple[str | None, str | None]:
    """The region and the instance that the active generation was compiled for."""
    plan = _active_plan(state)
    return plan.get("region"), plan.get("instance")


def _beside(base: Path) -> dict[str, str]:
    """The files beside atc.yml that a target looks at."""
    found = {}
    for name in BESIDE:
        with suppress(OSError):
            found[name] = (base / name).read_text(encoding="utf-8", errors="replace")
    return found


def _ports(state: Path) -> dict[str, int]:
    """The ports that tenants of the active generation have."""
    return {each["id"]: each["port"] for each in _active_plan(state).get("tenants", ()) if each["port"]}


def _active_plan(state: Path) -> dict[str, Any]:
    """The plan of the active generation as plain data, for another version of atc may have written it; {} for none."""
    try:
        plan: dict[str, Any] = json.loads((state / "current/plan.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return plan


def _listening() -> frozenset[int]:
    """The TCP ports of this machine that somebody listens on."""
    tables = (Path(f"/proc/net/{name}") for name in ("tcp", "tcp6"))
    return listening_ports(each.read_text(encoding="ascii") for each in tables if each.exists())


def nginx_version() -> tuple[int, ...]:
    """The version of the installed nginx, which has every module that atc uses."""
    binary = shutil.which("nginx")
    if binary is None:
        raise Unavailable("nginx is not installed", hint="on Debian: apt-get install nginx")
    said = subprocess.run([binary, "-V"], capture_output=True, text=True, check=False).stderr
    found = re.search(r"(?:nginx|openresty)/(\d+)\.(\d+)\.(\d+)", said)
    if not found:
        raise Unavailable(f"{binary} -V does not say which version it is")
    missing = [each for each in _NEEDED if each not in said]
    if missing:
        raise Unavailable(f"nginx was built without {', '.join(missing)}")
    return tuple(int(each) for each in found.groups())


def find_litestream() -> str:
    """Where litestream is: beside the Python that runs atc, or in the PATH; '' when it is missing."""
    beside = Path(sys.executable).with_name("litestream")
    return str(beside) if os.access(beside, os.X_OK) else shutil.which("litestream") or ""


def _known_secret(state: Path) -> str:
    """The secret, if there is one: who only looks makes none."""
    try:
        return (state / "secret").read_text(encoding="ascii")
    except OSError:
        return ""


def master_secret(state: Path) -> str:
    """The secret of this installation, from which those of tenants are derived; made on first use."""
    file = state / "secret"
    try:
        return file.read_text(encoding="ascii")
    except FileNotFoundError:
        state.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(f".{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_hex(32), encoding="ascii")
        with suppress(FileExistsError):
            os.link(fresh, file)  # whoever is first wins
        fresh.unlink()
        return file.read_text(encoding="ascii")


def own_address() -> str:
    """The address by which this machine reaches others; nothing is sent to find out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address


def _resolvers() -> tuple[str, ...]:
    """The name servers of this machine, as nginx spells them."""
    try:
        lines = Path("/etc/resolv.conf").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return ()
    found = (each.split()[1] for each in lines if each.startswith("nameserver") and len(each.split()) > 1)
    return tuple(f"[{each}]" if ":" in each else each for each in found if "%" not in each)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
