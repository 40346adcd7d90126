"""Commands with `${...}`: a value is one word wherever it stands, and is never run."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atcgen.compiler.interpolate import expand_for_shell
from tests.compiler import hostile
from tests.compiler.compiling import compiled

_PLACES = {
    "printf %s ${v}; :": "%s",
    "printf %s ${v}${v}; :": "%s%s",
    'printf %s "a ${v} b"; :': "a %s b",
    "printf %s 'a ${v} b'; :": "a %s b",
    """printf %s 'it'"'"'s '${v}; :""": "it's %s",
    r"""printf %s "\"${v}\""; :""": '"%s"',
    r"""printf %s '\'${v}; :""": "\\%s",
    r"printf %s \'${v}; :": "'%s",
    "printf %s $${v:-x}; :": "x",
}


def said(command: str, value: str) -> str:
    """What a command prints."""
    text, parameters = expand_for_shell(command, {"v": value}, {})
    done = subprocess.run(["/bin/sh", "-c", text, "sh", *parameters], capture_output=True, check=True)
    assert not done.stderr
    return done.stdout.decode()


@given(st.sampled_from(list(_PLACES)), hostile.value)
@settings(max_examples=150)
def test_a_value_is_one_word_in_and_outside_of_quotes(command: str, value: str) -> None:
    """Whatever somebody is called."""
    assert said(command, value) == _PLACES[command].replace("%s", value)


@pytest.mark.parametrize("command", ['echo "$(echo "${v}")"', "echo `echo ${v}`", "echo x # it's ${v}"])
@pytest.mark.parametrize("value", ["$(touch F)", "`touch F`", "'; touch F; '", '"; touch F; "', "\ntouch F"])
def test_a_value_is_run_nowhere(command: str, value: str, tmp_path: Path) -> None:
    """Not even where it is hard to see how it is quoted."""
    said(command, value.replace("F", str(tmp_path / "run")))

    assert not (tmp_path / "run").exists()


def test_a_plain_command_needs_no_shell() -> None:
    """It is started itself, so that its process is the one that gets signals."""
    text = 'app: {start: \'serve --title "${user.name}" -b ${socket}\'}\nusers: {a: {name: "A; B", tenants: {x: {}}}}'
    (tenant,) = compiled(text).plan.tenants

    assert tenant.start == ("serve", "--title", "A; B", "-b", "\0socket\0")


def test_a_shell_gets_its_values_beside_the_command() -> None:
    """The socket is put in by the launch script, as any word's."""
    text = (
        'app: {start: \'exec serve "${user.name}" -b ${socket} | log\'}\nusers: {a: {name: "$(A)", tenants: {x: {}}}}'
    )
    compiled_text = compiled(text)
    (tenant,) = compiled_text.plan.tenants

    assert tenant.start == ("/bin/sh", "-c", 'exec serve "${1}" -b "${2}" | log', "sh", "$(A)", "\0socket\0")
    assert "sh '$(A)' \"$SOCKET\"" in compiled_text.files["launch/a.x.sh"]
