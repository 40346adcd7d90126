"""Numbers that nginx can only match, durations and sizes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from atcgen.compiler.serving import greater_than
from atcgen.compiler.values import Duration, Size

_limit = st.one_of(st.integers(0, 10**15), st.sampled_from([0, 1, 9, 10, 99, 100, 1024**2]))
DURATION: TypeAdapter[float] = TypeAdapter(Duration)
SIZE: TypeAdapter[int] = TypeAdapter(Size)


@given(_limit, st.one_of(_limit, st.integers(-2, 2)))
def test_a_pattern_matches_exactly_the_larger_numbers(limit: int, other: int) -> None:
    """Near the limit and far from it."""
    number = limit + other if abs(other) <= 2 else other
    if number >= 0:
        assert bool(re.search(greater_than(limit).replace(r"\z", r"\Z"), str(number))) == (number > limit)


@given(st.integers(0, 999), st.sampled_from([("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("d", 86400)]))
def test_a_duration_is_a_number_and_a_unit(number: int, unit: tuple[str, float]) -> None:
    """Several of them add up; a bare number counts seconds."""
    assert DURATION.validate_python(f"{number}{unit[0]}") == pytest.approx(number * unit[1])
    assert DURATION.validate_python(f"1d{number}{unit[0]}") == pytest.approx(86_400 + number * unit[1])
    assert DURATION.validate_python(number) == number


@pytest.mark.parametrize("text", ["", "5", "5 m", "m5", "5mm", "1m 30s", "-5s", "5M", "٣x", "1.5.5s", None, [], True])
def test_what_is_no_duration(text: object) -> None:
    """Half of a duration is none."""
    with pytest.raises(ValidationError, match="must be a duration"):
        DURATION.validate_python(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("512", 512),
        ("1k", 1024),
        ("1KB", 1024),
        ("1KiB", 1024),
        ("2 MB", 2 * 1024**2),
        ("1g", 1024**3),
        (7, 7),
    ],
)
def test_a_size_is_a_number_of_bytes(text: object, size: int) -> None:
    """Units are powers of 1024, however they are written."""
    assert SIZE.validate_python(text) == size


@pytest.mark.parametrize("text", ["", "k", "1.5MB", "-1", "1KBB", "5 bytes", "1" * 5000, None, 1.5, True, []])
def test_what_is_no_size(text: object) -> None:
    """Half of a size is none."""
    with pytest.raises(ValidationError, match="must be a size"):
        SIZE.validate_python(text)
