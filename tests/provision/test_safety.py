"""What the store says before the data of a machine goes."""

from __future__ import annotations

from pathlib import Path

from atcgen.provision.former import former_tenants
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
    assert safety.of_volume(None, ["m2"]).unsaved == ("nothing says whose it was, and whether all of it was copied",)
    one.lease("gone/x", "m1", held=True)
    assert safety.of_volume(None, ["m2"]).held == ("gone/x",)


def test_a_user_who_left_loses_only_what_was_copied(tmp_path: Path) -> None:
    """What editions say they had; a lease alone does not say that there was nothing else."""
    one = store(tmp_path)
    one.lease("gone/x", "m1", held=False)

    def verdict(*had: str, user: str = "gone") -> Verdict:
        return Safety(one.vault, {}, former=lambda: {"gone": had} if had else {}).of_machine("m1", user)

    assert verdict().unsaved == ("nothing says which tenants gone had, and whether all of it was copied",)
    assert verdict("gone/x").is_safe
    assert verdict("gone/x", "gone/y").unsaved == ("nothing of gone/y was ever copied",)
    assert verdict("gone/x", "gone/y", user="").unsaved == ("nothing of gone/y was ever copied",)  # who shared one


def test_a_tenant_that_left_atc_yml_before_its_user_moves_stays(tmp_path: Path) -> None:
    """It has a lease, and no copy; one that was deleted has nothing to lose."""
    one = store(tmp_path)
    for tenant in TENANTS["a"]:
        one.lease(tenant, "m1", held=False)
    one.lease("a/old", "m1", held=False, path="")

    assert Safety(one.vault, TENANTS).of_machine("m1", "a").unsaved == ("nothing of a/old was ever copied",)
    one.lease("a/old", "m1", held=False, path="", deleted=1.0)
    assert Safety(one.vault, TENANTS).of_machine("m1", "a").is_safe


def test_the_tenants_of_who_left_are_all_that_editions_name() -> None:
    """Texts with errors included, and those that are no text of atc.yml at all."""
    texts = ["users: {a: {tenants: {x: {}, y/z/: {}}}, b: {tenants: {x: {}}}}", "users: {a: {tenants: {w: {}}, no: 1}}"]

    assert former_tenants([*texts, "users: {c: {}}", "users: 3", "]"], {"b"}) == {"a": ("a/w", "a/x", "a/y/z"), "c": ()}
