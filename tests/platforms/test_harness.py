"""The harness finds what it is there to find: the calendar, run wrongly in the ways that frameworks are run wrongly."""

from __future__ import annotations

import pytest

from tests.platforms.harness import Subject, examine
from tests.platforms.test_flask import calendar, needs_calendar

pytestmark = [pytest.mark.system, needs_calendar]

# What needs a page that is there; the bare prefix leads nowhere either.
_ALL = {
    *("list", "links", "assets", "form", "submit", "own row", "/prefix", "/prefix/"),
    *("sign in", "both signed in", "foreign session", "foreign token", "foreign cookies"),
}


@pytest.mark.parametrize(
    ("env", "found"),
    [
        ({"SCRIPT_NAME": ""}, _ALL),
        ({"SECRET_KEY": "the same for all"}, {"foreign session", "foreign cookies"}),
        ({"DATABASE_PATH": "${tenant.dir}/../one.sqlite3"}, {"own row"}),
    ],
    ids=["no prefix", "one secret", "one database"],
)
def test_what_is_wrong_is_found(env: dict[str, str], found: set[str]) -> None:
    """By the check that is about it."""
    app = calendar()
    wrong = app | {"health": "", "env": app["env"] | env}  # without a health path anything below 500 is ready
    checks, _ = examine(Subject("wrong", wrong, sign_in="/sign-in"))
    failed = {each.name for each in checks if each.problem}
    assert failed == found
