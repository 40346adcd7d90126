"""What the templates say of tenants whose application knows of no prefix."""

from __future__ import annotations

from typing import Any

from atcgen.compiler.plan import Plan

# Attributes that hold addresses; each is also the end of others, such as formaction, data-src or imagesrcset.
ATTRIBUTES = ("href", "src", "action", "srcset", "poster", "data", "data-url", "background", "ping")
HYPERMEDIA = ("hx-get", "hx-post", "hx-put", "hx-patch", "hx-delete")  # htmx
BARE = (" href=", " src=", " action=", "url(", 'url("', "url('", '@import "', "@import '", ";url=", "; url=")


def strip_facts(plan: Plan) -> dict[str, Any]:
    """What to look for in answers, and the prefixes by which a stray request finds its tenant.

    The latter by their depth: the first so many segments of an address are looked up in a hashed map.
    """
    here = [each.path for each in plan.tenants if each.strips]
    paths = sorted([*here, *(each.path for each in plan.remotes if each.strips)])
    depths = sorted({path.count("/") for path in paths}, reverse=True)
    return {
        "strips": bool(here),
        "mended_attributes": (*ATTRIBUTES, *HYPERMEDIA),
        "mended_bare": BARE,
        "strays": [
            {
                "depth": depth,
                "pattern": rf"^(?<atc_asked_{depth}>\S+) https?://\k<atc_asked_{depth}>"
                rf"(?<atc_from_{depth}>(?:/[^/?#]+){{{depth}}})/",
                "paths": [path for path in paths if path.count("/") == depth],
            }
            for depth in depths
        ],
    }


def mended(before: str) -> str:
    """What stands before an address, and the prefix after it, as a word of nginx's configuration."""
    quote = "'" if '"' in before else '"'
    return f"{quote}{before}$atc_mended/{quote}"
