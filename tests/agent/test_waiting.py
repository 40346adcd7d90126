"""What those hear who wait for a tenant."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from atcgen.agent.lifecycle import State
from atcgen.agent.service import Service
from atcgen.agent.waiting import Verdict, retry_after, stage
from atcgen.replica.progress import Restoring
from atcgen.system.supervisor import Supervisor
from tests.compiler.compiling import compiled, machine

RESTORING = Restoring("databases", 43_000_000, 100_000_000, 4.0)


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_sentence_that_is_safe_in_a_header_and_a_page(state: State) -> None:
    """Plain words, one line."""
    for restoring in (None, RESTORING):
        said = stage(state, restoring, claims=False, waits_for_owner=False)
        assert said.endswith(".")
        assert said.isascii()
        assert said.isprintable()
        assert not set(said) & set("<>&\"'")


def test_the_stage_is_the_most_that_is_known() -> None:
    """A restore with its bytes, wherever it stands; another machine only when that is why it failed."""

    def said(state: State, restoring: Restoring | None = None, *, claims: bool = False, waits: bool = False) -> str:
        return stage(state, restoring, claims=claims, waits_for_owner=waits)

    assert said(State.PREPARING, RESTORING, claims=True) == (
        "Its databases are being restored: 43 of 100 MB, about 4 s left."
    )
    assert said(State.STOPPED, RESTORING).startswith("Its databases are being restored")
    assert said(State.PREPARING, claims=True) == "Its databases are being fetched."
    assert said(State.PREPARING) == "It is being prepared."
    assert said(State.FAILED, waits=True).startswith("Another machine has its databases.")
    assert said(State.STARTING, waits=True) == "It is starting."


@pytest.mark.parametrize(("left", "seconds"), [(None, 2), (0.5, 2), (17.0, 17), (7200.0, 60)])
def test_it_is_asked_again_when_the_restore_may_be_over(left: float | None, seconds: float) -> None:
    """Between two seconds and a minute."""
    assert retry_after(Restoring("files", 1, 2, left)) == seconds
    assert retry_after(None) == 2


@pytest.mark.parametrize(("waits", "word"), [(True, "starting"), (False, "failed")])
def test_who_waits_for_another_machine_has_not_failed(tmp_path: Path, waits: bool, word: str) -> None:
    """The page says to wait, and the reason stays with the owner."""
    text = "app: {start: 'x ${socket}'}\nusers: {a: {tenants: {x: {}}}}\n"
    plan = compiled(text, machine(base=str(tmp_path), state=str(tmp_path))).plan

    async def asked() -> Verdict:
        service = Service(plan, Supervisor("/nowhere"))
        keeper = service.keepers["a.x"]
        keeper.waits_for_owner = waits
        keeper.tenant = replace(keeper.tenant, state=State.FAILED, retry_at=service.clock() + 30)
        return await service.admit("a.x")

    said = asyncio.run(asked())
    assert (said.word, round(said.retry)) == (word, 30)
