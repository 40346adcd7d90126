"""The compiler: the text of atc.yml and facts about the machine in, a plan and its files out. It has no effects.

source.py   text -> Document      plain data and a table of positions
check.py    Document -> Config    the schema, then rules.py across keys
lower.py    Config -> Plan        defaults, names, ports: everything decided
render.py   Plan -> files         templates print it, quoting.py spells it
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atcgen.diagnostics import Diagnostic, errors
from atcgen.errors import Rejected

if TYPE_CHECKING:
    from atcgen.compiler.plan import Host, Plan
    from atcgen.compiler.render import Files, Templates
    from atcgen.compiler.schema import Config


@dataclass(frozen=True)
class Compiled:
    """What came out of an atc.yml without errors."""

    plan: Plan
    files: Files
    warnings: tuple[Diagnostic, ...]
    config: Config
    host: Host


def compile_text(text: str, *, file: str, host: Host, templates: Templates) -> Compiled:
    """Compile an atc.yml. Raises `Rejected` with every problem, sorted by position."""
    # The agent reads plans and never compiles: what only the compiler needs stays out of its memory.
    from atcgen.compiler.check import check  # noqa: PLC0415
    from atcgen.compiler.lower import lower  # noqa: PLC0415
    from atcgen.compiler.render import render  # noqa: PLC0415
    from atcgen.compiler.source import parse  # noqa: PLC0415

    document, problems = parse(text, file)
    config, more = check(document, host)
    puzzling = {each.position for each in problems}  # what is wrong with a value follows from how it was read
    said = tuple(sorted({*problems, *(each for each in more if each.position not in puzzling)}))
    if config is None or errors(said):
        raise Rejected(said)
    plan = lower(config, document, host)
    return Compiled(plan, render(plan, templates), said, config, host)
