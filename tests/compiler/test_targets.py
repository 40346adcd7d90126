"""Files for a target: what they say is what atc.yml says."""

from __future__ import annotations

import importlib
import json
import tomllib
import typing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcgen.compiler.fleet_schema import Fleet
from atcgen.compiler.plan import BESIDE
from atcgen.compiler.source import parse
from atcgen.compiler.targets import Target, target_of
from atcgen.compiler.targets.dockerfile import dockerfile
from tests.compiler.compiling import compiled, complaints, machine
from tests.docs.pages import ROOT

TARGETS = typing.get_args(Fleet.model_fields["target"].annotation)


def files_of(text: str, **facts: Any) -> dict[str, str]:
    """What the target of an atc.yml writes."""
    host = machine(**facts)
    config = compiled(text, host).config
    return dict(target_of(config).files(config, parse(text, "atc.yml")[0], host))


def fly_toml(text: str, **facts: Any) -> dict[str, Any]:
    """fly.toml as it is understood."""
    return tomllib.loads(files_of(text, **facts)["fly.toml"])


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_is_a_module(name: str) -> None:
    """Looked up by the word in atc.yml."""
    config = compiled(f"fleet: {{target: {name}}}").config
    target: Target = target_of(config)

    assert target is importlib.import_module(f"atcgen.compiler.targets.{name}")
    assert list(target.check(config, parse("", "atc.yml")[0], machine())) == []


def test_fly_toml_says_what_atc_yml_says() -> None:
    """Every key that the two share."""
    said = fly_toml(
        "fleet: {app: shows, machine: {size: shared-cpu-2x, memory: 1GB, volume: 3GB}}\n"
        "server: {http_port: 9000, kill_timeout: 30, health_check_path: alive}\n"
        "storage: {volume: /data/tenants}\n"
        "users: {a: {region: ams, tenants: {x: {}}}}\n"
    )

    assert (said["app"], said["primary_region"]) == ("shows", "ams")
    assert (said["kill_signal"], said["kill_timeout"]) == ("SIGTERM", 30)
    service = said["http_service"]
    assert (service["internal_port"], service["auto_stop_machines"], service["min_machines_running"]) == (
        9000,
        "off",
        0,
    )
    assert service["auto_start_machines"] is True
    assert [each["path"] for each in service["checks"]] == ["/alive"]
    assert said["mounts"] == [{"source": "atc", "destination": "/data", "initial_size": "3gb"}]
    assert said["vm"] == [{"cpu_kind": "shared", "cpus": 2, "memory": "1024mb"}]
    assert said["restart"] == [{"policy": "on-failure"}]


def test_an_image_is_named_where_there_is_one() -> None:
    """And no Dockerfile is needed then."""
    found = files_of("fleet: {machine: {image: 'shows:1'}}")

    assert tomllib.loads(found["fly.toml"])["build"] == {"image": "shows:1"}
    assert set(found) == {"fly.toml"}


def test_variables_that_atc_yml_needs_are_named_and_not_given() -> None:
    """They may be secrets."""
    text = files_of("app: {env: {KEY: 'x${ENV:API_KEY}'}}", environ={"API_KEY": "hidden"})["fly.toml"]

    assert "API_KEY" in text
    assert "hidden" not in text


@pytest.mark.parametrize(
    ("volume", "mount", "state"),
    [
        ("/data/tenants", "/data", "/data/atc"),
        ("/mnt/disk/a/b", "/mnt/disk/a", "/mnt/disk/a/atc"),
        ("/data", "/data", "/data/.atc"),
        ("./data", "/srv/app/data", "/srv/app/data/.atc"),
        ("../data", "/srv/data", "/srv/data/.atc"),
        ("var/data", "/srv/app/var", "/srv/app/var/atc"),
    ],
)
def test_the_disk_holds_the_data_and_the_state(volume: str, mount: str, state: str) -> None:
    """And does not hide the application."""
    found = files_of(f"storage: {{volume: {volume}}}")

    assert tomllib.loads(found["fly.toml"])["mounts"][0]["destination"] == mount
    assert f"VOLUME {mount}\n" in found["Dockerfile"]
    assert f"CMD {json.dumps(['--state', state])}\n" in found["Dockerfile"]


def test_a_dockerfile_that_is_there_stays() -> None:
    """Only who has none gets one, and it is the one of the documentation."""
    assert "Dockerfile" not in files_of("{}", beside={"Dockerfile": "FROM x\n"})
    assert dockerfile(8080, "/data", "/data/atc") == (ROOT / "docs/Dockerfile").read_text(encoding="utf-8")
    assert set(BESIDE) == {"fly.toml", "Dockerfile"}


@given(
    st.fixed_dictionaries(
        {
            "server": st.fixed_dictionaries(
                {"http_port": st.integers(1, 65535), "kill_timeout": st.integers(1, 300)},
                optional={"health_check_path": st.sampled_from(["up", "a/b", "x-y.z"])},
            ),
            "storage": st.fixed_dictionaries(
                {"volume": st.sampled_from(["./data", "/data", "/data/x", "/é/ö", '/a"b/c'])}
            ),
            "fleet": st.fixed_dictionaries(
                {},
                optional={
                    "app": st.just("shows"),
                    "machine": st.fixed_dictionaries({"memory": st.integers(1, 8).map(lambda each: f"{each * 256}MB")}),
                },
            ),
        }
    )
)
def test_what_is_written_agrees(config: dict[str, Any]) -> None:
    """A fly.toml that `atc build` wrote is never complained of."""
    text = json.dumps(config, ensure_ascii=False)
    written = files_of(text)["fly.toml"]

    assert complaints(text, machine(beside={"fly.toml": written})) == ()
