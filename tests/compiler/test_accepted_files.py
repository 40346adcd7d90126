"""A file that is accepted works: real nginx, supervisord's reader and sh take whatever comes out, unharmed."""

from __future__ import annotations

import os
import pwd
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import event, given, note, settings
from hypothesis import strategies as st
from supervisor.options import ServerOptions

from atcgen.compiler import Compiled, compile_text
from atcgen.compiler.interpolate import SOCKET_MARK
from atcgen.compiler.plan import Host, load
from atcgen.errors import Rejected
from tests.compiler import hostile
from tests.compiler.compiling import TEMPLATES, compiled, machine
from tests.compiler.real_nginx import directory, refusal, require_nginx, written

_SLOT = 0


def here(home: Path, **facts: Any) -> Host:
    """This machine, with a directory that only the test uses."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    return machine({"SOMEBODY": "x"}, base=str(home), state=f"{home}/s", user=user, is_root=os.geteuid() == 0, **facts)


def compiled_or_refused(data: dict[str, Any], host: Host) -> Compiled | None:
    """The generation of an atc.yml, None when it is refused; nothing else may happen."""
    text = yaml.safe_dump(data, allow_unicode=True, sort_keys=False)
    note(text)
    try:
        made = compile_text(text, file="atc.yml", host=host, templates=TEMPLATES)
    except Rejected as rejected:
        event("refused")
        for each in rejected.diagnostics:
            event(f"refused: {each.code}")
        return None
    event("accepted")
    return made


_facts = st.fixed_dictionaries(
    {
        "nginx_version": st.sampled_from([(1, 18, 0), (1, 22, 1)]),
        "region": st.sampled_from([None, "sea", "bos"]),
        "instance": st.sampled_from([None, "m1"]),
        "cpus": st.sampled_from([1, 64]),
    }
)


@given(hostile.atc_yml, _facts)
@settings(max_examples=60)
def test_an_accepted_file_passes_nginx_and_supervisord(data: dict[str, Any], facts: dict[str, Any]) -> None:
    """`nginx -t` has nothing against it, and supervisord reads exactly the programs that were meant."""
    require_nginx()
    with directory() as home:
        made = compiled_or_refused(data, here(home, **facts))
        if made is None:
            return
        configuration = written(made)
        assert not refusal(configuration, home / "log")
        assert load(made.files["plan.json"]) == made.plan
        meant = {each.program for each in made.plan.tenants} | {"atc-agent", "atc-events", "atc-nginx"}
        meant |= {each.backup.program for each in made.plan.tenants if each.backup}
        assert {each.name for each in read_by_supervisord(home / "s/current/supervisor/supervisord.conf")} == meant


def test_copies_and_the_shared_file_in_one_directory_of_the_application_are_closed_once() -> None:
    """nginx knows no two locations of one name."""
    require_nginx()
    with directory() as home:
        text = "storage: {replica: 'file:./copies'}\nfleet: {secret: x}\nusers: {a: {tenants: {x: {}}}}"
        made = compiled(text, here(home, nginx_version=(1, 18, 0)))
        assert not refusal(written(made), home / "log")
        assert "/copies/" in made.files["nginx/internal.conf"]


@pytest.mark.parametrize("name", ["a b", "it's", "(x);", "é"])
def test_a_state_directory_with_an_odd_name_works(name: str) -> None:
    """nginx takes it, and supervisord finds every program and every word of its command."""
    require_nginx()
    with directory() as home:
        (home / name).mkdir()
        text = "app: {start: 'serve ${socket}'}\nusers: {a: {tenants: {x: {}}}}"
        made = compiled(text, here(home / name, nginx_version=(1, 18, 0)))
        assert not refusal(written(made), home / "log")
        groups = {
            each.name: each for each in read_by_supervisord(home / name / "s/current/supervisor/supervisord.conf")
        }
        command = shlex.split(groups["a.x"].process_configs[1].command)
        assert command[-3:] == ["/bin/sh", f"{home}/{name}/s/current/launch/a.x.sh", "1"]


def read_by_supervisord(configuration: Path) -> list[Any]:
    """The groups of programs supervisord sees."""
    options = ServerOptions()
    options.realize(["-c", str(configuration)], doc="")
    groups: list[Any] = options.process_group_configs
    return groups


@given(hostile.atc_yml.filter(lambda each: each.get("users") or each.get("routes")))
@settings(max_examples=30)
def test_a_tenant_gets_exactly_its_environment(data: dict[str, Any]) -> None:
    """The launch script starts its command with every variable as it was meant, and does nothing else."""
    with directory() as home:
        made = compiled_or_refused(data, here(home, region="sea"))
        if made is None:
            return
        for tenant in made.plan.tenants[:2]:
            if "/usr/bin/env" not in " ".join(tenant.start):
                continue
            Path(tenant.root).mkdir(parents=True, exist_ok=True)
            words = ["/bin/sh", "-s", str(_SLOT)]
            script = made.files[f"launch/{tenant.program}.sh"].encode()
            done = subprocess.run(
                words, input=script, capture_output=True, check=True, env={"PATH": os.environ["PATH"]}
            )
            said = dict(each.split("=", 1) for each in done.stdout.decode().split("\0") if "=" in each)
            meant = {name: value.replace(SOCKET_MARK, tenant.socket(_SLOT)) for name, value in tenant.env}
            assert {name: said.get(name) for name in meant} == meant
            assert not done.stderr


_scalar = st.none() | st.booleans() | st.integers() | st.floats() | hostile.value
_any_data = st.recursive(
    _scalar,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(hostile.value, inner, max_size=3),
    max_leaves=8,
)
_sections = ("server", "app", "idle", "storage", "pin", "start", "users", "routes", "x-y", "zz")


@given(_any_data, st.sampled_from(_sections))
def test_nothing_but_diagnostics_comes_out_of_a_wrong_file(data: object, section: str) -> None:
    """Any data at any place is either taken or refused with diagnostics."""
    compiled_or_refused({section: data}, machine())


@given(st.text() | hostile.text)
def test_nothing_but_diagnostics_comes_out_of_any_text(text: str) -> None:
    """Any text at all is either taken or refused with diagnostics."""
    try:
        compile_text(text, file="atc.yml", host=machine(), templates=TEMPLATES)
    except Rejected as rejected:
        said = [str(each) for each in rejected.diagnostics]
        assert said


_LONGEST = {
    "user": {"u" * 200: {"region": "sea", "tenants": {"": {}}}},
    "path": {"a": {"region": "sea", "tenants": {"x" * 198: {}}}},
    "host": {"a": {"region": "sea", "tenants": {"x": {"host": ".".join(["h" * 60] * 4)}}}},
}


@pytest.mark.parametrize("region", ["sea", "bos"])
@pytest.mark.parametrize("users", _LONGEST.values(), ids=_LONGEST)
def test_the_longest_names_pass_nginx(users: dict[str, Any], region: str) -> None:
    """Users, paths and hosts as long as they may be fit into nginx's tables, here and on another machine."""
    require_nginx()
    with directory() as home:
        host = here(home, region=region, nginx_version=(1, 18, 0))
        assert not refusal(written(compiled(yaml.safe_dump({"users": users}), host)), home / "log")
