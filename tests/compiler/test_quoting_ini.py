"""Values of supervisord's ini, read back by supervisord's own reader."""

from __future__ import annotations

import io
import shlex

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from supervisor.options import UnhosedConfigParser

from atcgen.compiler.quoting import Unrepresentable, ini_command_word, ini_value
from tests.compiler import hostile


def read(value: str) -> str:
    """What supervisord makes of a value as it stands in a program's section."""
    parser = UnhosedConfigParser()
    parser.read_file(io.StringIO(f"[program:x]\nbefore=1\nkey={value}\nafter=2\n"))
    parser.expand_here("/elsewhere")
    assert parser.sections() == ["program:x"]
    assert parser.saneget("program:x", "before") == "1"
    assert parser.saneget("program:x", "after") == "2"
    said: str = parser.saneget("program:x", "key")
    return said


@example(text="a # b")
@example(text="a\u00a0;b")
@example(text="100%")
@example(text="%(here)s")
@example(text="%(x)s")
@given(hostile.text)
def test_a_value_comes_back_unchanged(text: str) -> None:
    """A value that can be spelt is neither cut, nor expanded, nor does it add anything."""
    try:
        value = ini_value(text)
    except Unrepresentable:
        return
    assert text == read(value)


@example(texts=["/bin/sh", "/a b/c", "50% off", "it's", "#x", ";x", ""])
@given(st.lists(hostile.text, min_size=1, max_size=5))
def test_the_words_of_a_command_come_back_unchanged(texts: list[str]) -> None:
    """supervisord splits a command into the words it was made of."""
    words = []
    for text in texts:
        try:
            words.append((text, ini_command_word(text)))
        except Unrepresentable:
            continue
    command = " ".join(word for _, word in words)

    assert [text for text, _ in words] == shlex.split(read(command))


@pytest.mark.parametrize("text", ['"', "a\nb", "a ;b", "a\t#b", " a", "a ", "\udcff", "a%(here)sb"])
def test_what_supervisord_cannot_read_is_refused(text: str) -> None:
    """Quotes, lines, comments, outer spaces and its own words have no spelling."""
    with pytest.raises(Unrepresentable):
        ini_value(text)


def test_whole_numbers_are_values() -> None:
    """Numbers stand for themselves."""
    assert ini_value(5) == "5"
