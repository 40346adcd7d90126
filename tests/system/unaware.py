"""An application that knows of no prefix, as most are: for the tests of `prefix: strip`."""

from __future__ import annotations

import gzip
import json

from tests.system.application import Handler, main

PAGE = """<!DOCTYPE html>
<html><head><title>x</title><link rel=stylesheet href=/bare.css><link rel="stylesheet" href="/style.css">
<meta http-equiv="refresh" content="60; url=/later"></head><body data-url='/live'>
<a href="/events/new?q=/a">new</a><a href='/quoted'>quoted</a><A HREF="/upper">upper</A><a
href="/next-line">next</a><a href="//other.example/x">other host</a><a href='//other.example/y'>other</a>
<a href="https://third.example/z">third</a><a href="relative">relative</a><a href="/">home</a><a href="#here">here</a>
<form action="/events"><button formaction="/events/2">2</button><input name="path" value="/typed"></form>
<img src="/a.png" srcset="/a.png 1x"><div hx-get="/part" style="background: url(/b.png)"></div>
<p>A text about /events and "/quotes" stays.</p><script>const base = "/api"</script></body></html>"""
STYLE = """@import "/more.css"; a { background: url(/icon.svg) } b { background: url("/q.svg") }
i { background: url('/s.svg') } u { background: url(//cdn.example/x.svg) } s { background: url(near.svg) }"""


class Unaware(Handler):
    """Its addresses begin with a slash, and mean the application."""

    def _page(self, text: str, kind: str, **headers: str) -> None:
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            return self._say(gzip.compress(text.encode()), headers={"Content-Type": kind, "Content-Encoding": "gzip"})
        if self.headers.get("If-None-Match", "").removeprefix("W/") == '"one"':
            return self._say("", 304, {"ETag": '"one"'})
        begin, dash, end = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
        if not dash:
            return self._say(text, headers={"Content-Type": kind, "ETag": '"one"', **headers})
        part = {"Content-Range": f"bytes {begin}-{end}/{len(text)}", "Content-Type": kind}
        return self._say(text[int(begin) : int(end) + 1], 206, part)

    def _get_page(self, query: dict[str, str]) -> None:
        self._page(PAGE * int(query.get("times", "1")), "text/html; charset=utf-8")

    def _get_kept(self, _: dict[str, str]) -> None:
        self._page(PAGE, "text/html", **{"Content-Disposition": 'attachment; filename="x.html"'})

    def _get_style_css(self, _: dict[str, str]) -> None:
        self._page(STYLE, "text/css")

    def _get_script_js(self, _: dict[str, str]) -> None:
        self._page(PAGE, "text/javascript")

    def _get_go(self, query: dict[str, str]) -> None:
        """A redirect to where the test says, and a cookie for the path that it says."""
        cookie = {"Set-Cookie": f"session=1; Path={query['path']}; HttpOnly"} if "path" in query else {}
        self._say("", 302, {"Location": query["to"], **cookie})

    def _get_raw(self, _: dict[str, str]) -> None:
        self._say(json.dumps({"path": self.path, "prefix": self.headers.get("X-Forwarded-Prefix")}))


if __name__ == "__main__":
    main(Unaware)
