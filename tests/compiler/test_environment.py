"""Variables of the environment that override keys of `server:`."""

from __future__ import annotations

import pytest

from atcgen.compiler.environment import OVERRIDABLE, override_server, refuse_encryption
from atcgen.compiler.schema import Server
from tests.compiler.compiling import compiled, complaints, machine

VALUES = {
    "target_port": ("4000", 4000),
    "cache_size": ("1MB", 1024**2),
    "max_cache_item_size": ("1048576", 1024**2),
    "x_sendfile_enabled": ("0", False),
    "max_request_body": ("5", 5),
    "bad_gateway_page": ("502.html", "502.html"),
    "http_port": ("81", 81),
    "http_idle_timeout": ("90", 90.0),
    "http_read_timeout": ("1m30s", 90.0),
    "http_write_timeout": ("5", 5.0),
    "forward_headers": ("true", True),
    "gzip_compression_enabled": ("False", False),
    "log_requests": ("f", False),
    "debug": ("1", True),
    "log_level": ("warn", "warn"),
    "health_check_path": ("/healthz/", "healthz"),
}


def test_every_key_is_tried() -> None:
    """A key that is added is not forgotten here, and each is one of the section."""
    assert set(VALUES) == set(OVERRIDABLE)
    assert set(OVERRIDABLE) <= set(Server.model_fields)


@pytest.mark.parametrize("prefix", ["", "THRUSTER_"])
@pytest.mark.parametrize("key", VALUES)
def test_a_variable_overrides_its_key(key: str, prefix: str) -> None:
    """By its name in capitals, plain or prefixed."""
    text, value = VALUES[key]

    server, problems = override_server(Server(), {f"{prefix}{key.upper()}": text})

    assert getattr(server, key) == value
    assert server.model_fields_set == {key}
    assert not problems


def test_machines_have_addresses_of_their_own() -> None:
    """`BIND` alone is for other programs."""
    assert override_server(Server(), {"ATC_BIND": "127.0.0.2"})[0].bind == "127.0.0.2"
    assert override_server(Server(), {"ATC_BIND": "here"})[1][0].severity == "error"


def test_an_empty_boolean_is_false() -> None:
    """`DEBUG=` is how people switch something off."""
    assert override_server(Server(debug=True), {"DEBUG": ""})[0].debug is False


@pytest.mark.parametrize("text", ["--5", "²", "٣", "9" * 5000, "", "0x50", "8_0", "1e3"])
def test_what_is_no_number_is_a_diagnostic(text: str) -> None:
    """Python's own idea of a digit is wider than ours."""
    _, (problem,) = override_server(Server(), {"HTTP_PORT": text})

    assert problem.position.file == "$HTTP_PORT"


def test_other_variables_mean_nothing() -> None:
    """Keys of atc's own are written in the file."""
    assert override_server(Server(), {"BIND": "1.2.3.4", "HOLD": "5", "PORT": "1"}) == (Server(), [])


def test_all_bad_variables_are_reported_together_with_the_file() -> None:
    """One run tells everything."""
    said = complaints("server: {max_waiting: 0}\n", machine({"HTTP_PORT": "x"}))
    assert [each.code.value for each in said] == ["out-of-range"]

    said = complaints("app: {root: 'a$b'}\n", machine({"HTTP_PORT": "x", "LOG_LEVEL": "debg"}))
    assert [str(each.position) for each in said] == ["$HTTP_PORT:1:1", "$LOG_LEVEL:1:1", "atc.yml:1:13"]
    assert said[1].hint == "did you mean 'debug'?"


def test_fly_trusts_its_proxy() -> None:
    """On Fly.io the addresses of its proxy are believed unless something else is said."""
    on_fly = machine({"FLY_APP_NAME": "app"})

    assert compiled("", on_fly).plan.server.trusted
    assert not compiled("users: {a: {tenants: {x: {}}}}").plan.server.trusted
    assert not compiled("server: {trusted_proxies: []}\nusers: {a: {tenants: {x: {}}}}", on_fly).plan.server.trusted
    assert compiled("server: {forward_headers: true}").plan.server.trusted == ("0.0.0.0/0", "::/0")


def test_encryption_is_somebody_elses() -> None:
    """A variable that thruster would obey is not passed over in silence; an empty one says nothing."""
    said = list(refuse_encryption({"TLS_DOMAIN": "example.com", "THRUSTER_TLS_LOCAL": "1", "TLS_LOCAL": ""}))

    assert [each.position.file for each in said] == ["$TLS_DOMAIN", "$THRUSTER_TLS_LOCAL"]
