"""Reading YAML: places, numbers, and files that were written to do harm."""

from __future__ import annotations

import pytest

from atcgen.compiler.source import parse
from atcgen.diagnostics import Code, Position


def said(text: str) -> list[tuple[int, int, str]]:
    """Line, column and words of every problem of a text."""
    _, problems = parse(text, "atc.yml")
    return [(each.position.line, each.position.column, each.message) for each in problems]


def test_keys_and_values_have_places() -> None:
    """A key stands where it begins, its value where that begins; what is not written stands where its parent does."""
    document, _ = parse("a:\n  b: [1, two]\n", "atc.yml")

    assert document.at(("a", "b")) == Position("atc.yml", 2, 3)
    assert document.value_at(("a", "b", 1)) == Position("atc.yml", 2, 10)
    assert document.at(("a", "nobody", "x")) == Position("atc.yml", 1, 1)
    assert document.value_at(("a", "b", 5)) == Position("atc.yml", 2, 6)


def test_a_file_that_cannot_be_read_has_a_place() -> None:
    """An empty document says where it begins."""
    document, _ = parse("", "atc.yml")

    assert document.at(("a",)) == Position("atc.yml", 1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "[" * 200_000 + "]" * 200_000,
        "{a: " * 100_000,
        "- " * 200_000 + "a",
        "? " * 100_000,
        "&a [*a]",
        "&a {b: *a}",
        "&a [*a, *a, *a]",
        "&a {<<: *a, b: [*a]}",
    ],
    ids=lambda each: each[:12],
)
def test_depth_is_limited(text: str) -> None:
    """Neither brackets nor anchors that hold themselves bring the reader down."""
    problems = said(text)

    assert [words for _, _, words in problems] == ["is nested too deeply or repeats itself"]


@pytest.mark.parametrize(
    ("first", "next_one"),
    [("[a, a, a, a, a, a, a, a]", "[{}]"), ("{a: b}", "{{<<: [{}]}}")],
    ids=["lists", "merges"],
)
def test_anchors_that_multiply_are_stopped(first: str, next_one: str) -> None:
    """A page of text does not become a billion values."""
    lines = [f"x-0: &x0 {first}"]
    lines += [
        f"x-{number}: &x{number} " + next_one.format(", ".join([f"*x{number - 1}"] * 8)) for number in range(1, 20)
    ]

    problems = said("\n".join(lines))

    assert [words for _, _, words in problems] == ["is nested too deeply or repeats itself"]


def test_depth_as_people_write_it_is_read() -> None:
    """The limit is far beyond what a configuration needs."""
    assert not said("{a: " * 60 + "1" + "}" * 60)


@pytest.mark.parametrize("text", ["9" * 5000, "-" + "9" * 5000])
def test_a_number_of_thousands_of_digits_is_text(text: str) -> None:
    """Python would refuse to read it as a number."""
    document, problems = parse(f"a: {text}", "atc.yml")

    assert document.data == {"a": text}
    assert not problems


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("-1", -1), ("+5", 5), ("1.5", 1.5), ("true", True), ("false", False), ("~", None), ("", None)],
)
def test_plain_values_are_what_they_look_like(text: str, value: object) -> None:
    """Whole numbers, decimals, the two booleans and nothing."""
    document, problems = parse(f"a: {text}", "atc.yml")

    assert document.data == {"a": value}
    assert not problems


@pytest.mark.parametrize(
    "text", ["1e3", "12:99", "0.5.1", "2025-01-01", "=", "1h", "5m", "_1", "v1.10", "nobody", "onto"]
)
def test_other_plain_words_are_text(text: str) -> None:
    """Nothing else is turned into something else."""
    document, problems = parse(f"a: {text}", "atc.yml")

    assert document.data == {"a": text}
    assert not problems


def test_bytes_that_are_no_text_have_a_place() -> None:
    """The first one is shown."""
    text = b"a: b\nc: d\xffe\n".decode("utf-8", "surrogateescape")

    _, (problem,) = parse(text, "atc.yml")

    assert problem.position == Position("atc.yml", 2, 5)
    assert problem.code is Code.YAML_SYNTAX


@pytest.mark.parametrize("text", ["a: \x07", "a: b\x00c"])
def test_control_characters_are_refused(text: str) -> None:
    """YAML does not allow them in a file."""
    _, (problem,) = parse(text, "atc.yml")

    assert problem.code is Code.YAML_SYNTAX
    assert problem.position.line == 1
