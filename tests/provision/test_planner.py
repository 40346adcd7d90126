"""From what is wanted and what there is to steps, without anybody doing them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcgen.compiler.machines import Guest, MachinePlan, machines, named_instances
from atcgen.compiler.source import parse
from atcgen.compiler.targets.fly_shape import Shape
from atcgen.errors import Unavailable
from atcgen.provision.existing import Existing, Machine, Volume, read_existing, read_machine
from atcgen.provision.planner import Wanted, difference, machine_name, too_large, volume_name
from atcgen.provision.steps import (
    CreateMachine,
    CreateVolume,
    DestroyMachine,
    DestroyVolume,
    ExtendVolume,
    NoteInstances,
    Step,
    UpdateMachine,
)
from tests.compiler.compiling import compiled

SMALL, LARGE = Guest("shared", 1, 256), Guest("shared", 2, 1024)
SHAPE = Shape("shows", 8080, "/up", 5, "/data", "/data/atc", SMALL, 1, "shows:1")


def plan(user: str = "a", region: str = "iad", instance: str = "", **more: Any) -> MachinePlan:
    """A machine of a user's own; shared where the user is ''."""
    section = ("users", user or "b")
    usual: dict[str, Any] = {"guest": SMALL, "volume_gb": 1, "image": "", "tenants": (), "section": section}
    return MachinePlan(user=user, region=region, instance=instance, **(usual | more))


def wanted(*plans: MachinePlan, named: frozenset[str] | None = None, **more: Any) -> Wanted:
    """Those, and what atc.yml names."""
    said = frozenset(each.instance for each in plans if each.instance) if named is None else named
    return Wanted(replace(SHAPE, **more), plans, said)


def made(each: MachinePlan, name: str = "m1", **more: Any) -> Machine:
    """The machine that `apply` made of a plan."""
    usual: dict[str, Any] = {
        "id": name,
        "name": machine_name(SHAPE, each),
        "region": each.region,
        "state": "started",
        "version": "1",
        "guest": each.guest,
        "image": each.image or "shows:1",
        "volume": f"vol_{name}",
        "fleet": "shows",
        "user": each.user,
        "shared_by": "" if each.user else each.region,
        "digest": SHAPE.digest(each),
    }
    return Machine(**(usual | more))


def disk(each: MachinePlan, machine: str = "m1", **more: Any) -> Volume:
    """Its volume."""
    usual: dict[str, Any] = {
        "id": f"vol_{machine or 'free'}",
        "name": volume_name(SHAPE, each),
        "region": each.region,
        "size_gb": each.volume_gb,
        "machine": machine,
    }
    return Volume(**(usual | more))


def there(*machines: Machine, volumes: tuple[Volume, ...] = ()) -> Existing:
    """What exists."""
    return Existing(machines, volumes)


def kinds(steps: tuple[Step, ...]) -> list[type]:
    """What they are."""
    return [type(each) for each in steps]


A = plan()
NOTED = plan(instance="m1")
SHARED = plan(user="")
MOVED = plan(region="ams", instance="m1")
WHOLE = there(made(A), volumes=(disk(A),))

TABLE: tuple[tuple[str, Wanted, Existing, list[type]], ...] = (
    ("nothing at all", wanted(), there(), []),
    ("a new user", wanted(A), there(), [CreateVolume, CreateMachine]),
    ("killed after the volume", wanted(A), there(volumes=(disk(A, ""),)), [CreateMachine]),
    ("killed after the machine", wanted(A), WHOLE, [NoteInstances]),
    ("all is well", wanted(NOTED), WHOLE, []),
    ("a region that users share", wanted(SHARED), there(made(SHARED), volumes=(disk(SHARED),)), []),
    ("`fly deploy` made the region's machine", wanted(SHARED), there(made(SHARED, fleet="", shared_by="")), []),
    ("a hand made the user's machine", wanted(NOTED), there(made(A, fleet="", user="")), []),
    ("larger", wanted(replace(NOTED, guest=LARGE)), WHOLE, [UpdateMachine]),
    ("another image", wanted(NOTED, image="shows:2"), WHOLE, [UpdateMachine]),
    ("another port", wanted(NOTED, port=3000), WHOLE, [UpdateMachine]),
    ("more room", wanted(replace(NOTED, volume_gb=3)), WHOLE, [ExtendVolume]),
    ("less room", wanted(replace(NOTED, volume_gb=1)), there(made(A), volumes=(disk(A, size_gb=3),)), []),
    ("somebody made it larger", wanted(NOTED), there(made(A, guest=LARGE), volumes=(disk(A),)), [UpdateMachine]),
    ("the user left", wanted(), WHOLE, [DestroyMachine, DestroyVolume]),
    ("killed before the volume went", wanted(), there(volumes=(disk(A, ""),)), [DestroyVolume]),
    ("the user left, and is named elsewhere", wanted(named=frozenset({"m1"})), WHOLE, []),
    ("a move begins", wanted(MOVED), WHOLE, [CreateVolume, CreateMachine]),
    (
        "a move, killed before atc.yml was written",
        wanted(MOVED),
        there(made(A), made(MOVED, "m2"), volumes=(disk(A), disk(MOVED, "m2"))),
        [NoteInstances],
    ),
    (
        "a move, killed before the old machine went",
        wanted(replace(MOVED, instance="m2")),
        there(made(A), made(MOVED, "m2"), volumes=(disk(A), disk(MOVED, "m2"))),
        [DestroyMachine, DestroyVolume],
    ),
    (
        "a move that was given up",
        wanted(NOTED),
        there(made(A), made(MOVED, "m2"), volumes=(disk(A), disk(MOVED, "m2"))),
        [DestroyMachine, DestroyVolume],
    ),
    (
        "two of one user",
        wanted(NOTED),
        there(made(A), made(A, "m2"), volumes=(disk(A), disk(A, "m2"))),
        [DestroyMachine, DestroyVolume],
    ),
    ("atc.yml names one that is gone", wanted(NOTED), there(), [CreateVolume, CreateMachine]),
    ("strangers stay", wanted(), there(made(A, fleet="other"), volumes=(disk(A), disk(A, "", name="data"))), []),
)


@pytest.mark.parametrize(("want", "have", "steps"), [each[1:] for each in TABLE], ids=[each[0] for each in TABLE])
def test_what_is_missing_and_what_is_too_much(want: Wanted, have: Existing, steps: list[type]) -> None:
    """In order: what is made, what is changed, atc.yml, what goes."""
    assert kinds(difference(want, have)) == steps


def test_every_step_is_a_sentence() -> None:
    """People read them before anything happens."""
    larger = replace(NOTED, guest=LARGE, volume_gb=3)
    fresh = machine_name(SHAPE, plan(user="b", region="ams"))
    said = [str(each) for each in difference(wanted(larger, plan(user="b", region="ams")), WHOLE)]
    gone = [str(each) for each in difference(wanted(), WHOLE)]

    assert said == [
        "~ volume vol_m1: 1 GB becomes 3 GB",
        "~ machine m1 of user a: shared-cpu-1x 256 MB becomes shared-cpu-2x 1024 MB",
        f"+ volume {volume_name(SHAPE, plan(user='b'))} in ams, 1 GB, for user b",
        f"+ machine {fresh} in ams, shared-cpu-1x 256 MB, shows:1, for user b",
    ]
    assert gone == [
        "- machine m1 in iad of a",
        f"- volume vol_m1 ({volume_name(SHAPE, A)}) in iad, 1 GB, and what is on it",
    ]
    assert list(too_large(wanted(NOTED), there(made(A), volumes=(disk(A, size_gb=3),)))) == [
        "volume vol_m1 of user a stays at 3 GB: none can shrink"
    ]


def test_an_image_comes_from_the_machines_of_fly_deploy() -> None:
    """Where atc.yml names none; and where there is none, that is said."""
    deployed = made(A, "d1", fleet="", user="", image="shows:7")
    (_, create) = difference(wanted(A, image=""), there(deployed))

    assert isinstance(create, CreateMachine)
    assert create.image == "shows:7"
    with pytest.raises(Unavailable, match="nothing says which image"):
        difference(wanted(A, image=""), there())


def test_a_digest_that_the_api_adds_to_an_image_is_no_change() -> None:
    """It resolves tags."""
    resolved = made(A, image="registry.fly.io/shows:1@sha256:" + "0" * 64)
    want = wanted(NOTED, image="registry.fly.io/shows:1")

    assert difference(want, there(resolved, volumes=(disk(A),))) == ()


@pytest.mark.parametrize("user", ["a", "Bellevue-Ballroom-of-Dance", "x" * 80, "a.b", "A.B", "~", "2025"])
def test_names_are_such_as_the_platform_takes(user: str) -> None:
    """A volume's are at most thirty of a-z, 0-9 and '_'; different users have different ones."""
    import re

    name = volume_name(SHAPE, plan(user=user))
    others = {volume_name(SHAPE, plan(user=each)) for each in ("other", user.swapcase() + "x")}

    assert re.fullmatch(r"[a-z0-9_]{1,30}", name)
    assert re.fullmatch(r"[a-z0-9-]{1,63}", machine_name(SHAPE, plan(user=user)))
    assert name not in others


def perform(step: Step, have: Existing, want: Wanted, name: str) -> tuple[Existing, Wanted]:
    """What a step would do, if everything went well."""
    match step:
        case CreateVolume():
            return have.with_volume(disk(step.plan, "", id=f"vol_{name}", name=step.name)), want
        case CreateMachine():
            free = next(each for each in have.volumes if (each.name, each.machine) == (step.volume, ""))
            return have.with_machine(made(step.plan, name, volume=free.id, image=step.image)), want
        case UpdateMachine():
            old = have.machine(step.machine)
            assert old
            return have.with_machine(made(step.plan, old.id, volume=old.volume, image=step.image)), want
        case ExtendVolume():
            old_disk = next(each for each in have.volumes if each.id == step.volume)
            return have.with_volume(replace(old_disk, size_gb=step.plan.volume_gb)), want
        case NoteInstances():
            now = dict(step.instances)
            plans = tuple(replace(each, instance=now.get(each.user, each.instance)) for each in want.machines)
            return have, Wanted(want.shape, plans, frozenset(each.instance for each in plans if each.instance))
        case DestroyMachine():
            return have.without_machine(step.machine), want
        case DestroyVolume():
            return have.without_volume(step.volume), want


REGIONS = ("iad", "ams", "lhr")
plans = st.builds(
    plan,
    user=st.sampled_from(["a", "b", "c"]),
    region=st.sampled_from(REGIONS),
    instance=st.sampled_from(["", "", "x0", "x1", "gone"]),
    guest=st.sampled_from([SMALL, LARGE]),
    volume_gb=st.integers(1, 3),
)
shared = st.builds(plan, user=st.just(""), region=st.sampled_from(("sjc", "fra")))


@st.composite
def fleets(draw: st.DrawFn) -> tuple[Wanted, Existing]:
    """Any wanted machines, and any that exist, whoever made them."""
    own = draw(st.lists(plans, unique_by=lambda each: each.user, max_size=3))
    own = list({each.instance or each.user: each for each in own}.values())
    want = wanted(*own, *draw(st.lists(shared, unique_by=lambda each: each.region, max_size=2)))
    have = Existing()
    for index in range(draw(st.integers(0, 4))):
        each = draw(st.one_of(plans, shared))
        have = have.with_volume(disk(each, "", id=f"vol_x{index}"))
        if draw(st.booleans()):
            have = have.with_machine(made(each, f"x{index}", fleet=draw(st.sampled_from(["shows", "shows", ""]))))
    return want, have


@given(fleets())
def test_the_steps_lead_to_what_is_wanted(fleet: tuple[Wanted, Existing]) -> None:
    """One after the other, each taken anew, from wherever it begins: they end, and nothing of ours is left over."""
    want, have = fleet
    asked = have
    for number in range(60):
        steps = difference(want, have)
        if not steps:
            break
        have, want = perform(steps[0], have, want, f"n{number}")

    assert difference(want, have) == ()
    ours = [each for each in have.machines if each.fleet == "shows"]
    assert {each.id for each in ours} <= want.named | {each.id for each in ours if each.shared_by}
    users = [each.user for each in want.machines if each.user]
    assert sorted(users) == sorted(each.user for each in want.machines if have.machine(each.instance))
    assert all(each.machine for each in have.volumes)
    assert all(have.machine(each.id) for each in asked.machines if each.fleet != "shows"), "a stranger's went"


@given(fleets())
def test_nothing_is_destroyed_while_something_is_missing(fleet: tuple[Wanted, Existing]) -> None:
    """What is made stands before what goes."""
    said = kinds(difference(*fleet))
    destroying = [index for index, each in enumerate(said) if each in (DestroyMachine, DestroyVolume)]

    assert not destroying or min(destroying) == len(said) - len(destroying)


FLEET = """\
fleet: {app: shows, machine: {size: shared-cpu-2x, image: "shows:${ENV:TAG}", volume: 1500MB}}
users:
  bellevue: {region: sea, machine: , tenants: {2025/winter: {}, 2025/away: {region: ams}, 2025/there: {instance: abc}}}
  boston: {region: bos, instance: abc123, machine: {memory: 1280MB, size: shared-cpu-4x}, tenants: {x: {}}}
  raleigh: {region: rdu, tenants: {x: {}}}
  livermore: {region: rdu}
  byhand: {instance: def, region: sea, tenants: {x: {}}}
  anywhere: {tenants: {x: {}}}
routes: [{endpoint: /old, region: rdu}, {endpoint: /, instance: ghi}]
"""


def test_which_machines_an_atc_yml_wants() -> None:
    """One for each user with `machine:`, one for each region that somebody names alone; none that a hand placed."""
    config, document = compiled("\n".join(FLEET.splitlines()).replace("${ENV:TAG}", "v7")).config, parse(FLEET, "")[0]
    found = machines(config, document, {"TAG": "v7"})

    assert [(each.key, each.region, each.instance, str(each.guest), each.volume_gb) for each in found] == [
        ("user bellevue", "sea", "", "shared-cpu-2x 512 MB", 2),
        ("user boston", "bos", "abc123", "shared-cpu-4x 1280 MB", 2),
        ("region ams", "ams", "", "shared-cpu-2x 512 MB", 2),
        ("region rdu", "rdu", "", "shared-cpu-2x 512 MB", 2),
    ]
    assert [each.tenants for each in found] == [
        ("bellevue/2025/winter",),
        ("boston/x",),
        ("bellevue/2025/away",),
        ("raleigh/x", "old"),
    ]
    assert {each.image for each in found} == {"shows:v7"}
    assert named_instances(config) == {"abc", "abc123", "def", "ghi"}


def test_what_the_api_says_is_read() -> None:
    """Also without what it leaves out; what is gone is not there."""
    bare = {"id": "1", "region": "iad", "state": "stopped", "config": None}
    found = read_existing([bare, {**bare, "id": "2", "state": "destroyed"}], [])

    assert found.machines == (read_machine(bare),)
    assert found.machines[0].guest == SMALL
    assert found.machines[0].is_asleep
