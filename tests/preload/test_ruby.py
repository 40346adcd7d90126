"""The same of Ruby: forks of a process with bundler, puma and frameworks loaded."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.preload.zygotes import PATIENCE, SHIMS, Zygote, outcome, until, zygote


def has(*features: str) -> bool:
    """Is there a Ruby with these?"""
    if shutil.which("ruby") is None:
        return False
    words = ["ruby", *(f"-r{each}" for each in features), "-e", "1"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not has("puma/cli"), reason="there is no Ruby with puma")
TELLS = "run ->(env) { [200, {}, [%s]] }\n"


class Puma(Zygote):
    """A zygote of Ruby's, and tenants of puma's."""

    def words(self) -> list[str]:
        """Of the zygote."""
        script = str(SHIMS / "ruby/zygote.rb")
        return ["ruby", script, str(self.socket), str(self.learned), str(self.home), "puma"]

    def serve(self, name: str, **env: str) -> subprocess.Popen[bytes]:
        """A tenant, which answers."""
        asking = [sys.executable, "-I", "-S", str(SHIMS / "preload/ask.py"), str(self.socket)]
        words = [*asking, "puma", "-b", f"unix://{self.home}/{name}.sock", "config.ru"]
        with (self.home / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                words,
                cwd=self.home,
                env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        self.asked.append(process)
        until(lambda: self.get(name), f"{name} answers: {(self.home / f'{name}.log').read_text()}")
        return process

    def get(self, name: str) -> str:
        """What a tenant answers, '' when it does not."""
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(f"{self.home}/{name}.sock")
                sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
                said = b"".join(iter(lambda: sock.recv(65_536), b""))
            except OSError:
                return ""
        return said.partition(b"\r\n\r\n")[2].decode()

    def said_in(self, name: str) -> str:
        """What a tenant has printed."""
        return (self.home / f"{name}.log").read_text(encoding="utf-8")


@pytest.fixture
def pumas() -> Iterator[Puma]:
    """One that listens; its tenants tell who they are."""
    with zygote(Puma) as found:
        (found.home / "config.ru").write_text(TELLS % "\"#{Process.pid} #{Process.ppid} #{ENV['SECRET']} #{Dir.pwd}\"")
        found.start()
        yield found


def test_tenants_are_forks(pumas: Puma) -> None:
    """Each with its own environment, in the group of who asked; the zygote knows no secret."""
    first, second = pumas.serve("one", SECRET="of-one"), pumas.serve("two", SECRET="of-two")
    said = [pumas.get("one").split(), pumas.get("two").split()]

    assert [each[1:] for each in said] == [[str(pumas.pid), f"of-{name}", str(pumas.home)] for name in ("one", "two")]
    assert [os.getpgid(int(each[0])) for each in said] == [first.pid, second.pid]
    assert b"of-one" not in Path(f"/proc/{pumas.pid}/environ").read_bytes()


def test_nothing_of_another_one_is_left_open(pumas: Puma) -> None:
    """No socket, and no pipe by which another one's end is told."""
    pumas.serve("one")
    pumas.serve("two")
    files = [
        {os.readlink(each) for each in Path(f"/proc/{pumas.get(name).split()[0]}/fd").glob("[0-9]*")}
        for name in ("one", "two")
    ]
    shared = {each for each in files[0] & files[1] if each.startswith(("pipe:", "socket:"))}

    assert shared == set()
    zygotes = {os.readlink(each) for each in Path(f"/proc/{pumas.pid}/fd").glob("[0-9]*")}
    assert not {each for each in zygotes & files[1] if each.startswith("socket:")}


def test_a_stop_ends_it_as_it_ends_puma(pumas: Puma) -> None:
    """In its own time, and no zombie is left."""
    process = pumas.serve("one")
    os.killpg(process.pid, signal.SIGTERM)

    assert outcome(process) == -signal.SIGTERM
    assert "Gracefully stopping" in pumas.said_in("one")
    until(lambda: not pumas.children(), "no zombie is left")


@pytest.mark.parametrize("code", ["exit!(3)", "Process.kill(:KILL, Process.pid); sleep"])
def test_its_end_is_told(pumas: Puma, code: str) -> None:
    """Its exit status, or the signal."""
    (pumas.home / "config.ru").write_text(TELLS % f"(Thread.new {{ sleep 0.3; {code} }}; 'soon')")

    assert outcome(pumas.serve("one")) == (3 if "3" in code else -9)


def test_it_ends_when_who_asked_is_killed(pumas: Puma) -> None:
    """The kernel sees to that, also when the zygote is gone."""
    process = pumas.serve("one")
    pid = pumas.get("one").split()[0]
    os.kill(pumas.pid, signal.SIGKILL)
    assert pumas.get("one").split()[0] == pid
    os.kill(process.pid, signal.SIGKILL)

    until(lambda: not pumas.get("one"), "it is gone")


def test_a_changed_file_is_never_forked(pumas: Puma) -> None:
    """The zygote ends, and the tenant is started."""
    (pumas.home / "Gemfile.lock").write_text("")
    pumas.serve("one")

    assert "Gemfile.lock has changed" in pumas.said_in("one")
    assert pumas.process is not None
    assert pumas.process.wait(PATIENCE) == 0


HOOKS = """
require "{shims}/ruby/held"
Held.during do
  require "active_record"
  ActiveRecord::Base
end
Held.put_back(ARGV[0])
told = []
ActiveSupport.on_load(:active_record) {{ told << name }}
told << "configured"
require "active_record/base"
told << (defined?(ActiveRecord::Base) ? "there" : "missing")
model = Class.new(ActiveRecord::Base)
ActiveSupport.on_load(:active_record) {{ told << "at once" }}
puts told.inspect, ActiveRecord::Base.name, model.superclass.equal?(ActiveRecord::Base)
"""


@pytest.mark.skipif(not has("active_record"), reason="there is no Rails")
def test_load_hooks_run_when_a_class_is_used_first(tmp_path: Path) -> None:
    """As if it were loaded then, with what has been configured meanwhile."""
    done = subprocess.run(
        ["ruby", "-e", HOOKS.format(shims=SHIMS), str(tmp_path / "held")], capture_output=True, text=True, check=False
    )

    expected = '["configured", "there", "ActiveRecord::Base", "at once"]\nActiveRecord::Base\ntrue\n'
    assert (done.stdout, done.stderr) == (expected, "")
