"""Words of nginx's configuration, read back from real nginx."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from atcgen.compiler.quoting import Unrepresentable, nginx_word
from tests.compiler import hostile
from tests.compiler.real_nginx import UnixConnection, ask, directory, require_nginx, serving

_CONFIGURATION = """\
daemon off;
pid {home}/pid;
events {{ worker_connections 32; }}
http {{
    access_log off;
    client_body_temp_path {home}/t1;
    proxy_temp_path {home}/t2;
    fastcgi_temp_path {home}/t3;
    uwsgi_temp_path {home}/t4;
    scgi_temp_path {home}/t5;
    keepalive_requests 100000;
    server {{
        listen unix:{home}/s;
{locations}
    }}
}}
"""


def answered(words: list[str]) -> list[str]:
    """What nginx says for each spelt word."""
    with directory() as home:
        locations = "\n".join(f"location = /{number} {{ return 200 {word}; }}" for number, word in enumerate(words))
        (home / "nginx.conf").write_text(_CONFIGURATION.format(home=home, locations=locations), "utf-8")
        with serving(home / "nginx.conf", home / "log", home / "s"):
            connection = UnixConnection(home / "s")
            said = [ask(connection, f"/{number}").body.decode() for number in range(len(words))]
            connection.close()
        return said


def spelt(text: str) -> str | None:
    """A text as a word, None when it is refused."""
    try:
        return nginx_word(text)
    except Unrepresentable:
        return None


@example(texts=["", " ", "a b", 'a"b', "a\\", "\\n", "\\\\", "a'b", "#", ";", "{", "}", "日本", "x" * 3998, "é" * 1999])
@given(st.lists(hostile.text, min_size=50, max_size=200))
@settings(max_examples=8)
def test_a_word_comes_back_byte_for_byte(texts: list[str]) -> None:
    """Whatever can be spelt is what nginx reads, in whatever company it stands."""
    require_nginx()
    words = {text: word for text in texts if (word := spelt(text)) is not None}

    assert list(words) == answered(list(words.values()))


@pytest.mark.parametrize("text", ["$", "a${b}", "\n", "\t", "\0", "\x7f", "\udcff", "x" * 4001, "é" * 2000])
def test_what_nginx_cannot_read_is_refused(text: str) -> None:
    """Variables, control characters, broken text and words longer than nginx's buffer have no spelling."""
    with pytest.raises(Unrepresentable):
        nginx_word(text)


@pytest.mark.parametrize("value", [True, None, 1.5, ["a"], b"a"])
def test_only_text_and_whole_numbers_are_words(value: object) -> None:
    """A template that prints anything else has a bug."""
    with pytest.raises(TypeError):
        nginx_word(value)


def test_whole_numbers_are_words() -> None:
    """Ports and sizes need no quotes."""
    assert nginx_word(8080) == "8080"
