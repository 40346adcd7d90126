"""Forks of a process that has modules loaded: each is what it would have been if it had been started."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.preload.zygotes import PATIENCE, Zygote, first_line, outcome, until, zygote

SLEEP = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(600)\n"


@pytest.fixture
def forks() -> Iterator[Zygote]:
    """One that listens."""
    with zygote(Zygote) as found:
        found.start()
        yield found


def gone(pid: int) -> bool:
    """Has a process ended, and somebody heard of it?"""
    return not Path(f"/proc/{pid}").exists()


def test_a_fork_is_a_child_of_the_zygote(forks: Zygote) -> None:
    """In the group of who asked, and in its session."""
    process = forks.ask(SLEEP)
    child = int(first_line(process))

    assert forks.children() == [child]
    assert (os.getpgid(child), os.getsid(child)) == (process.pid, os.getsid(0))


def test_it_runs_as_who_asked(forks: Zygote) -> None:
    """Arguments, environment, directory, umask, limits, niceness, standard descriptors."""
    program = (
        "import os, resource, sys\n"
        "print(sys.argv, __name__, dict(os.environ), os.getcwd(), oct(os.umask(0)), "
        "resource.getrlimit(resource.RLIMIT_NOFILE), os.nice(0), os.path.basename(sys.path[0]))\n"
        "print(open('/proc/self/stat').read().split()[4], file=sys.stderr)"
    )
    before = "umask 027; ulimit -n 77; cd /; cd $OLDPWD; unset OLDPWD PWD"
    process = forks.ask(program, "a b", "ü", "", env={"PATH": os.environ["PATH"], "KEY": "ä\n=b"}, before=before)
    out, complaints = process.communicate(timeout=PATIENCE)

    script = f"{forks.home}/program0.py"
    environ = {"PATH": os.environ["PATH"], "KEY": "ä\n=b"}
    expected = f"{[script, 'a b', 'ü', '']} __main__ {environ} {forks.home} 0o27 (77, 77) 0 {forks.home.name}\n"
    assert (out.decode(), complaints.decode()) == (expected, f"{process.pid}\n")


def test_it_is_behind_others_where_who_asked_was(forks: Zygote) -> None:
    """Until somebody takes that back."""
    said = forks.said("import os; print(os.sched_getscheduler(0))", before='set -- chrt -i 0 "$@"')

    assert said == f"{os.SCHED_IDLE}\n"


def test_nothing_is_left_open_in_it(forks: Zygote) -> None:
    """But the two pipes that say when it ended, and whether who asked has."""
    others = [forks.ask(SLEEP) for _ in range(3)]
    for each in others:
        first_line(each)
    program = "import os\nfor n in sorted(map(int, os.listdir('/proc/self/fd'))):\n"
    program += "  try: print(n, os.get_inheritable(n), os.readlink(f'/proc/self/fd/{n}'))\n  except OSError: pass\n"
    rows = [line.split() for line in forks.said(program).splitlines()]

    assert [row[2].partition(":")[0] for row in rows] == ["/dev/null", *["pipe"] * 4]
    assert [row[1] for row in rows] == ["True"] * 3 + ["False"] * 2
    others_pipes = {os.readlink(each) for pid in forks.children() for each in Path(f"/proc/{pid}/fd").glob("[0-9]*")}
    others_pipes -= {"/dev/null"}
    assert not {row[2] for row in rows} & others_pipes


@pytest.mark.parametrize("status", [0, 1, 3, 255])
def test_its_exit_status_is_that_of_who_asked(forks: Zygote, status: int) -> None:
    """As if it had run the program itself."""
    assert outcome(forks.ask(f"import sys; sys.exit({status})")) == status


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGSEGV", "SIGINT"])
def test_the_signal_that_ends_it_ends_who_asked(forks: Zygote, name: str) -> None:
    """The same one."""
    number = signal.Signals[name]
    program = f"import os, signal\nif {int(number)} != 9: signal.signal({int(number)}, signal.SIG_DFL)\n"

    assert outcome(forks.ask(f"{program}os.kill(os.getpid(), {int(number)})")) == -number


def test_a_signal_to_the_group_is_heard_once(forks: Zygote) -> None:
    """By the child alone, which ends in its own time."""
    program = (
        "import signal, time\nheard = []\n"
        "signal.signal(signal.SIGTERM, lambda *_: heard.append(1))\nprint('up', flush=True)\n"
        "while not heard: time.sleep(0.01)\ntime.sleep(0.3)\nprint(len(heard), flush=True)\n"
    )
    process = forks.ask(program)
    assert first_line(process) == "up"
    os.killpg(process.pid, signal.SIGTERM)

    assert (first_line(process), outcome(process)) == ("1", 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_signals_end_it_as_they_end_any_process(forks: Zygote, number: signal.Signals) -> None:
    """What the zygote makes of them is not inherited."""
    process = forks.ask(SLEEP)
    first_line(process)
    os.killpg(process.pid, number)

    expected = 130 if number == signal.SIGINT else -number  # KeyboardInterrupt
    assert outcome(process) in (expected, -number)


def test_it_ends_when_who_asked_is_killed(forks: Zygote) -> None:
    """With what it has begun."""
    process = forks.ask("import os, time\nos.fork()\nos.write(1, b'%d\\n' % os.getpid())\ntime.sleep(600)\n")
    pids = {int(first_line(process)), int(first_line(process))}
    os.kill(process.pid, signal.SIGKILL)

    until(lambda: all(map(gone, pids)), "both are gone")


def test_it_outlives_the_zygote(forks: Zygote) -> None:
    """And ends when who asked does; when it ends by itself, that is noticed."""
    staying, leaving = forks.ask(SLEEP), forks.ask("import time\nprint('up', flush=True)\ntime.sleep(2)\n")
    child = int(first_line(staying))
    first_line(leaving)
    os.kill(forks.pid, signal.SIGKILL)

    assert outcome(leaving) == 1
    assert leaving.stderr is not None
    assert "nobody knows how" in leaving.stderr.read().decode()
    assert not gone(child)
    os.kill(staying.pid, signal.SIGKILL)
    until(lambda: gone(child), "it is gone")


def test_without_a_zygote_it_is_started(forks: Zygote) -> None:
    """And says why."""
    os.kill(forks.pid, signal.SIGKILL)
    process = forks.ask("import sys; print(sys.argv[1:]); sys.exit(4)", "x y")
    out, complaints = process.communicate(timeout=PATIENCE)

    assert (out, process.returncode) == (b"['x y']\n", 4)
    assert b"atc: started without preloading: [Errno 111] Connection refused" in complaints


def test_a_zygote_that_hangs_holds_up_nobody(forks: Zygote) -> None:
    """Not for longer than a moment."""
    os.kill(forks.pid, signal.SIGSTOP)
    process = forks.ask("print('up')")

    assert (first_line(process), outcome(process)) == ("up", 0)
    assert process.stderr is not None
    assert process.stderr.readline() == b"atc: started without preloading: timed out\n"
    os.kill(forks.pid, signal.SIGCONT)
    assert forks.said("print('up')") == "up\n"
    until(lambda: not forks.children(), "who came too late has ended")


def test_twenty_at_once(forks: Zygote) -> None:
    """Each is its own, and none is left behind."""
    program = "import os, sys; print(sys.argv[1], os.environ['ME'])"
    found = [forks.ask(program, str(n), env={"ME": str(n)}) for n in range(20)]
    said = [each.communicate(timeout=PATIENCE) for each in found]

    assert said == [(f"{n} {n}\n".encode(), b"") for n in range(20)]
    until(lambda: not forks.children(), "no zombie is left")


def test_one_tenant_does_not_see_another(forks: Zygote) -> None:
    """Neither in its own memory of the environment, nor in the zygote's."""
    first = forks.ask(SLEEP, env={"SECRET": "of the first"})
    first_line(first)
    told = "import os; print(dict(os.environ), os.environb.get(b'SECRET'), os.getenv('SECRET'))"

    assert forks.said(told, env={"OTHER": "x"}, before="unset PWD") == "{'OTHER': 'x'} None None\n"
    assert b"of the first" not in Path(f"/proc/{forks.pid}/environ").read_bytes()


def test_what_children_need_is_loaded_for_those_after_them(forks: Zygote) -> None:
    """But not what is the application's own."""
    (forks.home / "own.py").write_text("import os\nPID = os.getpid()\n")
    program = "import sys\nwas = set(sys.modules)\nimport own, decimal, os\n"
    program += "print('decimal' in was, own.PID == os.getpid())\n"
    assert forks.said(program) == "False True\n"

    until(lambda: forks.said(program) == "True True\n", "decimal is loaded")
    assert "own" in forks.learned.read_text().split()


def test_a_changed_module_is_never_forked(forks: Zygote) -> None:
    """The zygote ends, and the tenant is started with what is there now."""
    packages = forks.home / "site-packages"
    packages.mkdir()
    (packages / "library.py").write_text("VERSION = 1\n")
    forks.end()
    forks.learned.write_text("library\n")
    forks.start(PYTHONPATH=str(packages))
    env = {"PYTHONPATH": str(packages)}
    program = "import sys\nwas = 'library' in sys.modules\nimport library\nprint(was, library.VERSION)\n"
    until(lambda: forks.said(program, env=env) == "True 1\n", "it is loaded")

    (packages / "library.py").write_text("VERSION = 22\n")
    process = forks.ask(program, env=env)
    out, complaints = process.communicate(timeout=PATIENCE)

    assert (out, b"library.py has changed" in complaints) == (b"False 22\n", True)
    assert forks.process is not None
    assert forks.process.wait(PATIENCE) == 0


def test_another_directory_behind_the_same_name_is_another_release(forks: Zygote) -> None:
    """As where `current` is a symlink."""
    forks.end()
    home, root = forks.home, forks.home / "current"
    for each in ("one", "two"):
        (home / each).mkdir()
    root.symlink_to("one")
    forks.home = root
    forks.start()
    root.unlink()
    root.symlink_to("two")
    process = forks.ask("print('up')")

    assert b"is another directory" in process.communicate(timeout=PATIENCE)[1]
    forks.home = home


@pytest.mark.parametrize(
    "library",
    [
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n",
        "import socket\nKEPT = socket.socket()\n",
    ],
    ids=["thread", "socket"],
)
def test_what_would_not_survive_a_fork_is_not_loaded(forks: Zygote, library: str) -> None:
    """Found out once; from then on the zygote begins without."""
    packages = forks.home / "site-packages"
    packages.mkdir()
    (packages / "library.py").write_text(library)
    (packages / "harmless.py").write_text("")
    forks.end()
    forks.learned.write_text("library\nharmless\n")
    forks.start(PYTHONPATH=str(packages))
    program = "import sys\nprint('library' in sys.modules, 'harmless' in sys.modules)\n"

    until(lambda: "-library" in forks.learned.read_text().split(), "it is found out")
    until(forks.listens, "the zygote is there again")
    until(lambda: forks.said(program, env={"PYTHONPATH": str(packages)}) == "False True\n", "the other one is loaded")


@pytest.mark.parametrize("words", [["-c", "print(1)"], ["-X", "dev", "program.py"], ["missing.py"]])
def test_what_is_not_understood_is_started(forks: Zygote, words: list[str]) -> None:
    """The ordinary way."""
    process = forks.ask("")
    process.communicate(timeout=PATIENCE)
    asking = _words(process)[:-1]
    done = subprocess.run([*asking, *words], cwd=forks.home, capture_output=True, check=False, process_group=0)

    assert b"atc: started without preloading" in done.stderr


def _words(process: subprocess.Popen[bytes]) -> list[str]:
    assert isinstance(process.args, list)
    return [str(each) for each in process.args[4:]]


def test_a_module_can_be_run(forks: Zygote) -> None:
    """`python -m`, with the directory to look in."""
    (forks.home / "serving.py").write_text("import sys\nprint(sys.argv, __name__)\n")
    process = forks.ask("")
    process.communicate(timeout=PATIENCE)
    done = subprocess.run(
        [*_words(process)[:-1], "-m", "serving", "x"], cwd=forks.home, capture_output=True, check=True, process_group=0
    )

    assert done.stdout.decode() == f"{[f'{forks.home}/serving.py', 'x']} __main__\n"
