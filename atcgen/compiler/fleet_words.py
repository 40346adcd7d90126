"""Words of nginx's configuration in which a value of the plan stands beside variables of nginx.

What goes in was checked to be of plain letters, or is made plain here: a template cannot quote half a word.
"""

from __future__ import annotations

import json
import re

from atcgen.compiler.plan import Plan

_STEERING = ("fly-force-instance-id", "fly-prefer-instance-id", "fly-force-region", "fly-prefer-region")


def fleet_words(plan: Plan) -> dict[str, str | list[tuple[str, str]]]:
    """The words by the names that templates give them."""
    fleet, app = plan.fleet, plain(plan.fleet.app)
    where = plain(" ".join(each for each in (plan.instance, plan.region) if each))
    transform = json.dumps({"transform": {"delete_headers": _STEERING}}, separators=(",", ":"))[1:-1]
    return {
        "machine_name": f'"$atc_machine.vm.{app}.internal"',
        "region_name": f'"$atc_region.{app}.internal"',
        "private_url": f"http://$atc_private:{fleet.private_port}$request_uri",
        "replay": f'"$atc_replay{fleet.replay_fields}"',
        "replay_json": f"'{{${{atc_replay_json}}{fleet.replay_json},{transform}}}'",
        "misdirected": f'"this machine ({where}) was sent a request for what its atc.yml has at $atc_replay\\n"',
        "resolvers": " ".join(plain(each) for each in fleet.resolvers),
        "known_json": [(each.target, f"'{each.json}'") for each in fleet.known],
        "steering": json.dumps(_own_place(plan)),
    }


def plain(text: str) -> str:
    """Without anything that means something to nginx."""
    return re.sub(r"[^A-Za-z0-9_.:\[\]-]+", " ", text).strip()


def _own_place(plan: Plan) -> dict[str, str]:
    """The headers by which Fly Proxy finds this machine."""
    if plan.instance:
        return {"fly-prefer-instance-id": plan.instance}
    return {"fly-prefer-region": plan.region} if plan.region else {}
