"""What a new generation changes: which tenants come, go or restart, and whether nginx reloads."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from atcgen.compiler.plan import load
from atcgen.compiler.render import Files, effective

VERSION = "nginx/version.conf"
PROGRAMS = "supervisor/programs.conf"


@dataclass(frozen=True)
class Changes:
    """Ids of tenants by what becomes of them."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    restarted: tuple[str, ...]  # only if they are awake
    nginx_reloads: bool

    @property
    def any(self) -> bool:
        """Is there anything to do?"""
        return bool(self.added or self.removed or self.restarted or self.nginx_reloads)

    def to_json(self) -> dict[str, Any]:
        """The changes as plain data."""
        return asdict(self)


def changes(before: Files, after: Files) -> Changes:
    """Compare two generations."""
    old = {each.program: each.id for each in load(before["plan.json"]).tenants} if before else {}
    new = {each.program: each.id for each in load(after["plan.json"]).tenants}
    programs = (
        program_entries(before.get(PROGRAMS, "")),
        program_entries(after[PROGRAMS]),
    )
    restarted = [
        name
        for program, name in new.items()
        if program in old
        and (programs[0].get(program) != programs[1].get(program) or launches_differently(program, before, after))
    ]
    return Changes(
        added=tuple(name for program, name in new.items() if program not in old),
        removed=tuple(name for program, name in old.items() if program not in new),
        restarted=tuple(restarted),
        nginx_reloads=reloads_nginx(before, after),
    )


def reloads_nginx(before: Files, after: Files) -> bool:
    """Does nginx's part have another effect?"""
    return before.get(VERSION) != after[VERSION]


def launches_differently(program: str, before: Files, after: Files) -> bool:
    """Has the launch script of a tenant that was there before another effect?"""
    script = f"launch/{program}.sh"
    return script in before and effective(before[script]) != effective(after[script])


def program_entries(text: str) -> dict[str, str]:
    """supervisord's sections by the name of their program, without comments."""
    entries = {}
    for section in effective(text).split("[program:")[1:]:
        name, _, body = section.partition("]")
        entries[name] = body.strip()
    return entries


def unified(before: Files, after: Files) -> str:
    """The difference as text, file by file, without what makes none: comments and the plan."""
    import difflib  # noqa: PLC0415 - the agent never needs it

    said: list[str] = []
    for path in sorted({*before, *after} - {"plan.json"}):
        old, new = effective(before.get(path, "")), effective(after.get(path, ""))
        said += difflib.unified_diff(old.splitlines(), new.splitlines(), f"a/{path}", f"b/{path}", lineterm="")
    return "\n".join(said)
