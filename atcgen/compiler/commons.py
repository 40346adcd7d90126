"""What an application serves to all its tenants alike: static directories outside of every tenant's prefix."""

from __future__ import annotations

from collections.abc import Iterable

from atcgen.compiler import interpolate
from atcgen.compiler.names import application_path
from atcgen.compiler.paths import absolute
from atcgen.compiler.plan import Host, StaticPlan
from atcgen.compiler.schema import App
from atcgen.compiler.tenancy import cache_control


def common_statics(apps: Iterable[App], host: Host) -> tuple[StaticPlan, ...]:
    """The `shared` directories of all applications, whether this machine has tenants of theirs or another one has:
    what a page asks for there says nothing of the tenant, so any machine may be asked.
    """
    found: dict[str, StaticPlan] = {}
    for app in apps:
        own = interpolate.expand(app.root, {}, host.environ)
        for path, each in app.static.items():
            if each.shared and path and not interpolate.mentions(each.dir, "tenant.dir"):
                directory = absolute(absolute(host.base, own), interpolate.expand(each.dir, {}, host.environ))
                location = f"{application_path(own)}/{path}/"
                found.setdefault(location, StaticPlan(location, "", f"{directory}/", cache_control(each)))
    return tuple(found[each] for each in sorted(found))
