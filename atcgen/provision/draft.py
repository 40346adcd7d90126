"""atc.yml while it is being edited: what it would mean, and one write once the machines are there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from atcgen.compiler import Compiled
from atcgen.compiler.machines import machines, named_instances
from atcgen.compiler.plan import Host
from atcgen.compiler.source import parse
from atcgen.compiler.targets.fly import shape_of
from atcgen.errors import AtcError
from atcgen.provision.edit import set_keys
from atcgen.provision.planner import Wanted

Edit = Callable[[str], str]


@dataclass
class Draft:
    """The file, and edits that are not written yet."""

    file: Path
    host: Host
    read: Callable[[Path], str]
    compiled: Callable[[str], Compiled]  # raises `Rejected`
    publish: Callable[[Path, str], None]
    edits: list[Edit] = field(default_factory=list)
    _seen: tuple[str, Compiled] | None = None

    def text(self) -> str:
        """What the file will say. Somebody else may have edited it meanwhile: their edit stays."""
        text = self.read(self.file)
        for each in self.edits:
            text = each(text)
        return text

    def compile(self) -> Compiled:
        """What that means."""
        text = self.text()
        if self._seen is None or self._seen[0] != text:
            self._seen = text, self.compiled(text)
        return self._seen[1]

    def wanted(self) -> Wanted:
        """The machines that should be there."""
        config = self.compile().config
        if config.fleet.target != "fly":
            raise AtcError(f"atc makes machines of Fly.io only; fleet.target is {config.fleet.target}")
        document, _ = parse(self.text(), str(self.file))
        plans = machines(config, document, self.host.environ)
        return Wanted(shape_of(config, self.host), plans, named_instances(config))

    def note(self, instances: tuple[tuple[str, str], ...]) -> None:
        """Write which machine each user has, with everything else that is not written yet."""
        for user, machine in instances:
            self.edits.append(partial(_noted, user=user, machine=machine))
        self.save()

    def save(self) -> None:
        """Write and publish."""
        text = self.text()
        self.compiled(text)
        self.publish(self.file, text)
        self.edits.clear()

    def tenants(self) -> dict[str, tuple[str, ...]]:
        """The tenants of each user; those of routes are nobody's."""
        compiled = self.compile()
        found: dict[str, tuple[str, ...]] = {
            user: tuple(f"{user}/{path}".rstrip("/") for path in section.tenants)
            for user, section in compiled.config.users.items()
        }
        if compiled.config.is_alone:
            return {}
        plan = compiled.plan
        known = {each for tenants in found.values() for each in tenants}
        every = [*(each.id for each in plan.tenants), *(each.id for each in plan.remotes)]
        return found | {"": tuple(each for each in every if each not in known)}


def _noted(text: str, user: str, machine: str) -> str:
    return set_keys(text, ("users", user), {"instance": machine})
