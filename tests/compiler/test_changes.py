"""What a new generation changes."""

from __future__ import annotations

from atcgen.compiler.changes import Changes, changes, unified
from tests.compiler.compiling import compiled

BEFORE = """\
app: {start: "serve ${socket}"}
users: {a: {tenants: {x: {}, y: {}, z: {}}}}
"""
AFTER = """\
app: {start: "serve ${socket}"}
users: {a: {tenants: {x: {env: {A: b}}, y: {app: {stop_timeout: 5s}}, w: {}}}}
"""


def test_tenants_come_go_and_restart() -> None:
    """One whose environment or whose entry changed is started anew; nginx learns of paths."""
    found = changes(compiled(BEFORE).files, compiled(AFTER).files)

    assert found == Changes(("a/w",), ("a/z",), ("a/x", "a/y"), True)
    assert found.any
    assert found.to_json()["added"] == ("a/w",)


def test_nothing_changes() -> None:
    """Comments and lines that move are nothing."""
    found = changes(compiled(BEFORE).files, compiled(f"# moved\n{BEFORE}").files)

    assert not found.any
    assert unified(compiled(BEFORE).files, compiled(f"# moved\n{BEFORE}").files) == ""


def test_an_environment_is_no_matter_of_nginx() -> None:
    """A tenant restarts, and nobody else notices."""
    found = changes(compiled(BEFORE).files, compiled(BEFORE.replace("x: {}", "x: {env: {A: b}}")).files)

    assert found == Changes((), (), ("a/x",), False)


def test_the_first_generation_adds_everything() -> None:
    """There was nothing before."""
    found = changes({}, compiled(BEFORE).files)

    assert found == Changes(("a/x", "a/y", "a/z"), (), (), True)


def test_the_difference_is_readable() -> None:
    """Files by name, lines by sign."""
    said = unified(compiled(BEFORE).files, compiled(BEFORE.replace("x: {}", "x: {env: {A: b}}")).files)

    assert said.splitlines()[:2] == ["--- a/launch/a.x.sh", "+++ b/launch/a.x.sh"]
    assert "+export A=b" in said
