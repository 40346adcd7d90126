"""What the page at '/' lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True)
class Listed:
    """A tenant of any machine, as it stands on the page."""

    user: str  # '' of a tenant that belongs to none
    user_name: str
    label: str
    path: str  # with a slash at the end
    host: str  # '' or the host it answers


def by_user(listed: Iterable[Listed]) -> list[tuple[str, list[Listed]]]:
    """Names of users with their tenants, both as people sort them; who belongs to none comes first."""

    def order(each: Listed) -> tuple[str, str]:
        return each.user_name.casefold(), each.user

    ordered = sorted(listed, key=lambda each: (*order(each), each.path, each.host))
    return [(group[0].user_name, group) for group in (list(found) for _, found in groupby(ordered, key=order))]
