"""The atc.yml that machines share: the store that has it, and how they are told that there is a new one."""

from __future__ import annotations

from dataclasses import replace

from atcgen.compiler import interpolate
from atcgen.compiler.fleet import public_address, shared_secret
from atcgen.compiler.plan import Host, SharedPlan
from atcgen.compiler.schema import Config
from atcgen.compiler.source import parse
from atcgen.compiler.storage import store_plan
from atcgen.diagnostics import errors
from atcgen.errors import Rejected


def shared_alone(text: str, file: str, host: Host) -> SharedPlan:
    """What a text says of its store, whatever else is wrong with it. Raises `Rejected`."""
    from atcgen.compiler.check import check  # noqa: PLC0415 - its rules use this module

    document, problems = parse(text, file)
    if isinstance(document.data, dict):
        sections = {key: document.data[key] for key in ("fleet", "storage") if key in document.data}
        document = replace(document, data=sections)
    config, more = check(document, host)
    found = sorted({*problems, *more})
    if config is None or errors(found):
        raise Rejected(found)
    return shared_plan(config, host)


def shared_plan(config: Config, host: Host) -> SharedPlan:
    """In the store that `fleet.config` names, and else beside the copies of databases."""
    fleet = config.fleet
    store = store_plan(config.storage.model_copy(update={"replica": fleet.config or config.storage.replica}), host)
    return SharedPlan(
        url=store.url,
        endpoint=store.endpoint,
        region=store.region,
        secret=shared_secret(config, host),
        poll=fleet.poll,
        address=public_address(fleet, host) if fleet.target == "fly" else "",
        hosts=tuple((name, each.url) for name, each in sorted(fleet.hosts.items())) if fleet.target == "proxy" else (),
        variables=tuple(filter(None, map(interpolate.environment_name, interpolate.names(fleet.secret or "")))),
    )
