"""How diagnostics are written and sorted."""

from __future__ import annotations

from atcgen.diagnostics import Code, Diagnostic, Position, Severity, closest, errors

_PLACE = Position("atc.yml", 7, 5)


def test_a_diagnostic_is_a_line_and_a_hint() -> None:
    """Editors find the place, people the remedy."""
    plain = Diagnostic(_PLACE, "unknown key 'x'", Code.UNKNOWN_KEY)
    hinted = Diagnostic(_PLACE, "unknown key 'x'", Code.UNKNOWN_KEY, Severity.WARNING, "did you mean 'y'?")

    assert str(plain) == "atc.yml:7:5: error: unknown key 'x' [unknown-key]"
    assert str(hinted) == "atc.yml:7:5: warning: unknown key 'x' [unknown-key]\n    hint: did you mean 'y'?"


def test_a_diagnostic_is_plain_data_too() -> None:
    """For `--json`."""
    assert Diagnostic(_PLACE, "no", Code.BAD_VALUE, hint="yes").to_json() == {
        "file": "atc.yml",
        "line": 7,
        "column": 5,
        "severity": "error",
        "code": "bad-value",
        "message": "no",
        "hint": "yes",
    }


def test_diagnostics_are_sorted_by_place() -> None:
    """Lines are numbers, not text."""
    late = Diagnostic(Position("atc.yml", 10, 1), "a", Code.BAD_VALUE)
    early = Diagnostic(Position("atc.yml", 9, 1), "b", Code.BAD_VALUE)

    assert sorted([late, early]) == [early, late]


def test_warnings_are_no_errors() -> None:
    """They stop nothing."""
    warning = Diagnostic(_PLACE, "a", Code.LOST_ON_RELOAD, Severity.WARNING)

    assert errors([warning]) == []


def test_the_closest_word_is_stable() -> None:
    """Likeness first, then the alphabet; nothing when nothing is near."""
    assert closest("idle_timout", ["idle_timeout", "http_idle_timeout"]) == "did you mean 'idle_timeout'?"
    assert closest("ab", ["abd", "abc"]) == "did you mean 'abc'?"
    assert closest("quux", ["start", "stop"]) == ""
