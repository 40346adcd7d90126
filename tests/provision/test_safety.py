"""What the store says before the data of a machine goes."""

from __future__ import annotations

from pathlib import Path

from atcgen.provision.safety import Safety, Verdict
from tests.provision.world import World

TENANTS = {"a": ("a/x", "a/y"), "b": ("b/x",), "": ("old",)}


def store(tmp_path: Path) -> World:
    """A world of which only the store is used."""
    return World(None, "shows", tmp_path)  # type: ignore[arg-type]


def test_nothing_goes_where_nothing_is_copied() -> None:
    """Unless that is wanted."""
    assert Safety(None).of_machine("m1", "a").unsaved
    assert Safety(None, discards=True).of_machine("m1", "a").is_safe
    assert not Safety(None).of_volume("a", ["m1"]).is_safe


def test_a_machine_that_has_a_tenant_stays(tmp_path: Path) -> None:
    """Also when what was never copied may go; one that gave it back goes, whoever has it now."""
    one = store(tmp_path)
    one.lease("a/x", "m1", held=True)
    one.lease("a/y", "m2", held=True)
    safety, careless = Safety(one.vault, TENANTS), Safety(one.vault, TENANTS, discards=True)

    assert safety.of_machine("m1", "a") == careless.of_machine("m1", "a") == Verdict(held=("a/x",))
    one.lease("a/x", "m1", held=False)
    assert safety.of_machine("m1", "a").is_safe


def test_a_tenant_that_was_never_copied_stays(tmp_path: Path) -> None:
    """Nobody can say from outside whether it has data."""
    one = store(tmp_path)
    one.lease("a/x", "m1", held=False)

    assert Safety(one.vault, TENANTS).of_machine("m1", "a").unsaved == ("nothing of a/y was ever copied",)
    assert Safety(one.vault, TENANTS, discards=True).of_machine("m1", "a").is_safe


def test_a_user_that_left_atc_yml_is_found_in_the_store(tmp_path: Path) -> None:
    """Leases say whose tenants they are of."""
    one = store(tmp_path)
    one.lease("gone/x", "m1", held=True)

    assert Safety(one.vault, TENANTS).of_machine("m1", "gone").held == ("gone/x",)
    assert Safety(one.vault, TENANTS).of_machine("m1", "gon").held == ()


def test_a_shared_machine_may_have_anybody(tmp_path: Path) -> None:
    """So all tenants have to be somewhere."""
    one = store(tmp_path)
    for tenant in ("a/x", "a/y", "b/x"):
        one.lease(tenant, "m1", held=tenant == "b/x")

    found = Safety(one.vault, TENANTS).of_machine("m1", "")
    assert found == Verdict(("b/x",), ("nothing of old was ever copied",))


def test_a_disk_whose_machine_went_down_with_a_tenant_stays(tmp_path: Path) -> None:
    """Its last second may be there alone; what a machine that exists has is safe."""
    one = store(tmp_path)
    one.lease("a/x", "m1", held=True)
    one.lease("a/y", "m1", held=False)
    safety = Safety(one.vault, TENANTS)

    assert safety.of_volume("a", ["m2"]).held == ("a/x",)
    assert safety.of_volume("a", ["m1", "m2"]).is_safe
    assert safety.of_volume(None, ["m2"]).is_safe
    one.lease("gone/x", "m1", held=True)
    assert safety.of_volume(None, ["m2"]).held == ("gone/x",)
