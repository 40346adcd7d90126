"""The same input gives the same bytes, and order matters only where it means something."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from atcgen.compiler import Compiled
from atcgen.compiler.plan import load
from atcgen.compiler.render import effective, nginx_version
from atcgen.errors import Rejected
from tests.compiler import hostile
from tests.compiler.compiling import compiled, machine

TEXT = """\
server: {http_port: 80}
app: {start: "serve ${socket}", env: {B: "${secret}", A: "${tenant.dir}"}, static: {b: b, a: a}}
users:
  a: {region: sea, name: A, tenants: {x: {name: X, pin: true}, y: {host: y.example}}}
  b: {region: bos, tenants: {x: {}}}
routes: [{endpoint: /r, app: {start: "serve ${port}"}}]
"""


def compiled_or_none(data: dict[str, Any]) -> Compiled | None:
    """The generation of an atc.yml as it is ordered, None when it is refused."""
    try:
        return compiled(yaml.safe_dump(data, allow_unicode=True, sort_keys=False), machine(region="sea"))
    except Rejected:
        return None


@given(hostile.atc_yml)
@settings(max_examples=25)
def test_the_same_input_gives_the_same_files(data: dict[str, Any]) -> None:
    """Nothing depends on time, chance or what was compiled before; and the plan can be read back."""
    first = compiled_or_none(data)
    assume(first is not None)
    assert first is not None
    second = compiled_or_none(data)
    assert second is not None

    assert first.files == second.files
    assert load(first.files["plan.json"]) == first.plan


def test_another_process_gives_the_same_files() -> None:
    """Not even the seed of hashes matters."""
    script = (
        "import sys, json; sys.path.insert(0, sys.argv[1]); from tests.compiler.compiling import compiled;"
        "print(json.dumps(compiled(sys.stdin.read()).files))"
    )
    here = str(Path(__file__).parents[2])
    said = {
        subprocess.run(
            [sys.executable, "-c", script, here],
            input=TEXT,
            text=True,
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }

    assert len(said) == 1


def shuffled(data: Any, chance: random.Random) -> Any:
    """The same data with every mapping and every list in another order."""
    if isinstance(data, list):
        return [shuffled(each, chance) for each in chance.sample(data, len(data))]
    if not isinstance(data, dict):
        return data
    return {key: shuffled(data[key], chance) for key in chance.sample(list(data), len(data))}


@given(st.randoms(use_true_random=False))
@settings(max_examples=20)
def test_order_means_nothing(chance: random.Random) -> None:
    """A file whose tenants stand in another order has the same effect, down to the version of nginx's part."""
    data = yaml.safe_load(TEXT.replace("routes: [", "routes: [{endpoint: /z, host: z.example}, {endpoint: /k}, "))
    one, other = compiled_or_none(data), compiled_or_none(shuffled(data, chance))
    assert one is not None
    assert other is not None

    assert {name: effective(text) for name, text in one.files.items() if name != "plan.json"} == {
        name: effective(text) for name, text in other.files.items() if name != "plan.json"
    }
    assert nginx_version(one.files) == nginx_version(other.files)


def test_a_comment_changes_no_version() -> None:
    """Lines that move do not make nginx reload."""
    assert nginx_version(compiled(TEXT).files) == nginx_version(compiled(f"# moved\n\n{TEXT}").files)


def test_a_route_changes_the_version() -> None:
    """What nginx has to know makes another version."""
    assert nginx_version(compiled(TEXT).files) != nginx_version(compiled(TEXT.replace("/r,", "/s,")).files)


def test_a_port_is_kept() -> None:
    """A tenant that comes before it in the file does not take its port."""
    port = compiled(TEXT).plan.tenants[-1].port
    more = TEXT.replace("routes: [", 'routes: [{endpoint: /q, app: {start: "serve ${port}"}}, ')
    plan = compiled(more, machine(ports={"r": port})).plan

    assert {each.id: each.port for each in plan.tenants if each.port} == {"q": port + 1, "r": port}


def test_no_port_is_given_to_two() -> None:
    """Neither that of the listener, nor one somebody listens on, nor one that another tenant had."""
    text = TEXT.replace("http_port: 80", "http_port: 21000")
    plan = compiled(text, machine(ports={"gone": 21001}, ports_taken=frozenset({21002}))).plan

    assert [each.port for each in plan.tenants if each.port] == [21003]


def test_the_plan_reads_back_with_a_place() -> None:
    """Region, machine and replays survive as well."""
    plan = compiled(TEXT, machine(region="sea", instance="m1")).plan

    assert load(plan.to_json()) == plan
    assert load(replace(plan, region=None).to_json()) != plan
    assert plan.replays
