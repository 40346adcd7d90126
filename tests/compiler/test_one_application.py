"""Without a word about tenants there is one of them, at the root, as thruster had it."""

from __future__ import annotations

import pytest
from compiling import compiled, machine


def test_a_command_is_run_with_thrusters_defaults() -> None:
    """Port 80, its port handed over in PORT, awake from the start, and forwarded headers believed."""
    plan = compiled("", machine(command=("bin/rails", "server"), has_file=False)).plan
    (only,) = plan.tenants

    assert only.start == ("bin/rails", "server")
    assert (only.path, only.pin, only.eager, only.port) == ("", True, True, 3000)
    assert plan.server.listen == ("0.0.0.0:80",)
    assert plan.server.trusted


@pytest.mark.parametrize("word", ["${HOME}", "a b", "$x", "it's", "${tenant.nobody}", "${", "${ENV:X}"])
def test_the_words_of_a_command_stay_what_they_are(word: str) -> None:
    """The shell of the caller has expanded what it should."""
    (only,) = compiled("", machine(command=("serve", word), has_file=False)).plan.tenants

    assert word in (only.start if len(only.start) == 2 else only.start[2]).__str__().replace("'\"'\"'", "'").replace(
        "\\'", "'"
    )


def test_without_a_command_it_is_rails() -> None:
    """What the predecessor ran when it was told nothing."""
    (only,) = compiled("").plan.tenants

    assert only.start == ("bin/rails", "server")
    assert only.prepare == ("bin/rails", "db:prepare")
