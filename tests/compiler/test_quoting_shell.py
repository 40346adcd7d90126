"""Words of a shell, read back from real /bin/sh."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from atcgen.compiler.interpolate import SOCKET_MARK
from atcgen.compiler.quoting import Unrepresentable, shell_word
from tests.compiler import hostile


def printed(words: list[str]) -> list[str]:
    """What /bin/sh makes of words; SOCKET is set as a launch script sets it."""
    script = "set -eu\nSOCKET='/run/a b/0.sock'\nprintf '%s\\0' end " + " ".join(words)
    done = subprocess.run(["/bin/sh"], input=script.encode(), capture_output=True, check=True)
    assert not done.stderr
    return done.stdout.decode().split("\0")[1:-1]


@example(texts=["", "'", "\\", "a\nb", "$HOME", "`id`", "~", "*", "-n", "%s", "é"])
@given(st.lists(hostile.text, max_size=100))
@settings(max_examples=40)
def test_a_word_comes_back_byte_for_byte(texts: list[str]) -> None:
    """The shell expands, splits and runs nothing of it."""
    words = []
    for text in texts:
        try:
            words.append((text, shell_word(text)))
        except Unrepresentable:
            continue

    assert [text for text, _ in words] == printed([word for _, word in words])


def test_the_socket_is_put_in_for_its_mark() -> None:
    """The launch script knows the slot; text around the mark stays as it is."""
    texts = [SOCKET_MARK, f"unix:{SOCKET_MARK}", f"{SOCKET_MARK}?a b", f"{SOCKET_MARK} {SOCKET_MARK}"]

    said = printed([shell_word(each) for each in texts])

    assert [each.replace(SOCKET_MARK, "/run/a b/0.sock") for each in texts] == said


def test_whole_numbers_are_words() -> None:
    """Numbers stand for themselves."""
    assert shell_word(5) == "5"


@pytest.mark.parametrize("text", ["a\0b", "\udcff"])
def test_what_no_program_can_be_given_is_refused(text: str) -> None:
    """A NUL would end the word, and broken text could not be written to a file."""
    with pytest.raises(Unrepresentable):
        shell_word(text)
