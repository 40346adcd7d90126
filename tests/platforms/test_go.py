"""Go programs as tenants: how they are known, and one that is built and served."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from atcgen.platforms.go import PLATFORM
from tests.platforms.trees import Texts
from tests.system.running import serving_file

_MODULE = "module example.org/shows\n\ngo 1.24\n"
_PROGRAM = """package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<a href="/events">%s</a> %s`, r.URL.Path, os.Getenv("DATABASE_PATH"))
	})
	http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil)
}
"""


def test_a_program_is_known_by_its_module() -> None:
    """In the root, or below cmd/; a library is none."""
    found = PLATFORM.detect(Texts({"go.mod": _MODULE, "main.go": _PROGRAM}))
    assert found
    assert (found.because, found.app, found.says) == ("go 1.24 in go.mod", {}, ())
    below = PLATFORM.detect(Texts({"go.mod": _MODULE, "cmd/web/main.go": _PROGRAM, "shows.go": "package shows\n"}))
    assert below
    assert below.app == {"build": "go build -o bin/server ./cmd/web"}
    assert PLATFORM.detect(Texts({"go.mod": _MODULE, "shows.go": "package shows\n"})) is None
    assert PLATFORM.detect(Texts({"main.go": _PROGRAM})) is None


def test_what_it_reads_it_is_given() -> None:
    """A prefix, which it keeps then, and an address."""
    program = 'package main\nvar a, b = os.Getenv("BASE_PATH"), os.Getenv("LISTEN_ADDR")\n'
    found = PLATFORM.detect(Texts({"go.mod": _MODULE, "main.go": program}))
    assert found
    assert found.app == {
        "prefix": "keep",
        "env": {"BASE_PATH": "${tenant.path}", "LISTEN_ADDR": "127.0.0.1:${port}"},
    }
    deaf = PLATFORM.detect(Texts({"go.mod": _MODULE, "main.go": "package main\n"}))
    assert deaf
    assert "do not read PORT" in deaf.says[0]


@pytest.mark.system
@pytest.mark.skipif(not (shutil.which("go") and shutil.which("nginx")), reason="go or nginx is not installed")
def test_one_is_built_and_served_below_its_prefix(tmp_path: Path) -> None:
    """It has no line about tenants."""
    (tmp_path / "go.mod").write_text(_MODULE.replace("1.24", "1.20"))
    (tmp_path / "main.go").write_text(_PROGRAM)

    def config(port: int) -> str:
        server = {"http_port": port, "bind": "127.0.0.1", "hold": "10m"}
        app = {"platform": "go", "root": str(tmp_path)}
        return str(yaml.safe_dump({"server": server, "app": app, "users": {"a": {"tenants": {"x": {}, "y": {}}}}}))

    with serving_file(config) as atc:
        for each in "xy":
            atc.cli("start", f"a/{each}")  # which waits for as long as the build takes
            answer = atc.ask(f"/a/{each}/month")
            assert answer.status == 200
            assert answer.text.startswith(f'<a href="/a/{each}/events">/month</a>')
            assert f"a.{each}/" in answer.text
