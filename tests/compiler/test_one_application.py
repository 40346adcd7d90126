"""Without a word about tenants there is one of them, at the root, as thruster had it."""

from __future__ import annotations

import subprocess

import pytest

from tests.compiler.compiling import compiled, machine


def test_a_command_is_run_with_thrusters_defaults() -> None:
    """Port 80, its port handed over in PORT, awake from the start, and forwarded headers believed."""
    plan = compiled("", machine(command=("bin/rails", "server"), has_file=False)).plan
    (only,) = plan.tenants

    assert only.start == ("bin/rails", "server")
    assert (only.path, only.pin, only.eager, only.port) == ("", True, True, 3000)
    assert plan.server.listen == ("0.0.0.0:80",)
    assert plan.server.trusted


@pytest.mark.parametrize("word", ["${HOME}", "a b", "$x", "it's", "${tenant.nobody}", "${", "${ENV:X}", "*", ""])
def test_the_words_of_a_command_stay_what_they_are(word: str) -> None:
    """The shell of the caller has expanded what it should."""
    (only,) = compiled("", machine(command=("/usr/bin/printf", "%s", word), has_file=False)).plan.tenants

    assert subprocess.run(only.start, capture_output=True, text=True, check=True).stdout == word


def test_without_a_command_it_is_rails() -> None:
    """What the predecessor ran when it was told nothing."""
    (only,) = compiled("").plan.tenants

    assert only.start == ("bin/rails", "server")
    assert only.prepare == ("bin/rails", "db:prepare")


def test_files_belong_to_the_user_who_reads_them() -> None:
    """The launch script of a tenant with a user of its own holds its environment."""
    text = "app: {user: nobody}\nusers: {a: {tenants: {x: {}}}}"

    assert compiled(text, machine(is_root=True)).plan.owners() == {"launch/a.x.sh": "nobody"}
