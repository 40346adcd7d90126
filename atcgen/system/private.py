"""What a tenant has a version of its own of: directories of its own, and copies of the release that lead there.

A copy is made of hard links under another name and renamed when it is whole, so one that was cut short is never used.
Each slot has a symlink to the copy it runs in. Copies to which no living process was led are removed, but the latest.
"""

from __future__ import annotations

import errno
import hashlib
import os
import pwd
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from atcgen.compiler.plan import Plan, PrivatePlan, TenantPlan
from atcgen.compiler.render import PREPARE_SLOT
from atcgen.errors import Unavailable

_KEEP = frozenset({".keep", ".gitkeep", ".gitignore", ".DS_Store"})  # they stand for a directory without data
_HISTORY = frozenset({".git", ".hg", ".svn"})
_DATABASES = (".sqlite3", ".sqlite", ".db")
_JOURNALS = ("-journal", "-wal", "-shm")
_LATEST = "latest"  # a symlink to the copy that the next process is likely to need
_NEW, _OLD = ".new-", ".old-"
# Besides the release's name, what tells that another copy is due: the name says nothing of these.
_INSTALLED = ("node_modules", "node_modules/.package-lock.json", "vendor", "vendor/bundle", ".venv", "venv", ".bundle")


def holds_data(path: str) -> bool:
    """Is it a file with something in it, or a directory with a file below it that is there for its own sake?"""
    if os.path.isfile(path):
        return os.path.getsize(path) > 0
    return any(not _KEEP.issuperset(files) for _, _, files in os.walk(path))


def provide(plan: TenantPlan, slot: int, release: str, busy: frozenset[int]) -> None:
    """Make what the process needs that is about to start in a slot. `busy` are the slots that have processes."""
    private = plan.private
    assert private is not None
    root = Path(os.path.realpath(plan.root))
    _make_own(plan, private, root)
    if private.by == "mount":
        _make_mount_points(private, root)
        return
    home = Path(private.copies)
    home.mkdir(mode=0o711, parents=True, exist_ok=True)
    home.parent.chmod(0o711)
    home.chmod(0o711)
    copy = home / _name(private, root, release)
    if not copy.is_dir():
        fresh = Path(tempfile.mkdtemp(prefix=_NEW, dir=home))
        _Copy(plan, private, root).make(fresh / "release")
        (fresh / "release").rename(copy)
    _point(home / str(slot), copy.name)
    _point(home / _LATEST, copy.name)
    tidy(plan, busy | {slot})


def tidy(plan: TenantPlan, busy: frozenset[int]) -> None:
    """Remove copies in which nobody runs, and what is left of copies that were being made or removed."""
    private = plan.private
    home = Path(private.copies) if private else None
    if home is None or not home.is_dir():
        return
    slots = [str(slot) for slot in range(PREPARE_SLOT + 1) if slot in busy or _may_live(plan, slot)]
    used = {_leads_to(home / each) for each in (_LATEST, *slots)}
    for each in list(home.iterdir()):
        if each.is_symlink() or each.name in used:
            continue
        gone = each
        if not each.name.startswith((_NEW, _OLD)):
            gone = each.rename(home / f"{_OLD}{each.name}")  # what is removed by half must not look whole
        shutil.rmtree(gone, ignore_errors=True)


def forget(plan: TenantPlan) -> None:
    """Remove all copies of a tenant that is none any more."""
    if plan.private:
        shutil.rmtree(plan.private.copies, ignore_errors=True)


def forget_others(plan: Plan) -> None:
    """Remove the copies of all that have none any more, such as tenants that left the file while atc was down."""
    wanted = {each.program for each in plan.tenants if each.private and each.private.by == "copy"}
    for each in Path(plan.paths.copies).glob("*"):
        if each.name not in wanted:
            shutil.rmtree(each, ignore_errors=True)


def _leads_to(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


def _may_live(plan: TenantPlan, slot: int) -> bool:
    """Is there a process of a slot that supervisord may not know, because it was killed? Each has noted who it is."""
    if slot == PREPARE_SLOT:
        return True  # which notes nothing
    try:
        pid, since = Path(plan.socket_directory, f"{slot}.pid").read_text(encoding="ascii").split()
        found = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (OSError, ValueError):
        return False
    return found.rpartition(")")[2].split()[19] == since


def _point(link: Path, name: str) -> None:
    fresh = link.with_name(f"{link.name}.next")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(name)
    fresh.replace(link)


def _name(private: PrivatePlan, root: Path, release: str) -> str:
    """What names a copy: the release, what is installed in it, and the files beside it that begin with a dot."""
    said: list[object] = [str(root), release, private.paths]
    for name in _INSTALLED:
        with suppress(OSError):
            said.append((name, (root / name).stat().st_mtime_ns))
    said += [(each.name, each.stat().st_mtime_ns) for each in sorted(root.glob(".*")) if each.is_file()]
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


def _make_own(plan: TenantPlan, private: PrivatePlan, root: Path) -> None:
    """The tenant's own directories, with those directories in them that the release has to be there."""
    owner = pwd.getpwnam(plan.unix_user) if plan.unix_user and os.geteuid() == 0 else None
    home = Path(plan.directory)

    def made(path: Path) -> None:
        """Make a directory and those above it, below the tenant's, as the tenant's."""
        if path != home:
            made(path.parent)
            path.mkdir(exist_ok=True)
            if owner and path.stat().st_uid != owner.pw_uid:
                os.chown(path, owner.pw_uid, owner.pw_gid)

    for name in private.files:
        made((home / name).parent)
    for name in private.directories:
        is_new = not (home / name).exists()
        made(home / name)
        for at, _, files in os.walk(root / name) if is_new else ():
            if _KEEP.intersection(files):
                made(home / name / os.path.relpath(at, root / name))


def _make_mount_points(private: PrivatePlan, root: Path) -> None:
    for name in private.directories:
        try:
            (root / name).mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            said = f"there is no directory {root / name} to mount over, and it cannot be made: {problem.strerror}"
            raise Unavailable(f"{said}; make it in the release, or say `private_by: copy`") from None


class _Copy:
    """A copy of a release in the making."""

    def __init__(self, plan: TenantPlan, private: PrivatePlan, root: Path) -> None:
        self._plan = plan
        self._private = frozenset(private.paths)
        self._skipped = frozenset(map(os.path.realpath, (*private.skipped, plan.directory)))
        self._root = str(root)
        self._is_root = os.geteuid() == 0
        self._links = True  # until one is refused for lying in another file system

    def make(self, target: Path) -> None:
        """Make it, whole."""
        pending = [""]
        while pending:
            pending += self._directory(pending.pop(), f"{target}/")
        owner = pwd.getpwnam(self._plan.unix_user) if self._plan.unix_user and self._is_root else None
        for name in self._private:
            link = target / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(f"{self._plan.directory}/{name}")
            if owner:
                os.lchown(link, owner.pw_uid, owner.pw_gid)  # nginx follows links to what their owner owns

    def _directory(self, inner: str, target: str) -> list[str]:
        """One directory, `inner` with a slash at its end; what is below it is left to do."""
        source, copy = f"{self._root}/{inner}", target + inner
        os.mkdir(copy)
        below = []
        with os.scandir(source) as entries:
            for each in entries:
                name = inner + each.name
                if name in self._private or each.name in _HISTORY:
                    continue
                if each.is_symlink():
                    self._symlink(source + each.name, target + name)
                elif each.is_dir():
                    if source + each.name not in self._skipped:
                        below.append(f"{name}/")
                elif each.is_file():
                    self._file(source + each.name, target + name)
        self._like(copy, os.stat(source))
        return below

    def _symlink(self, path: str, target: str) -> None:
        """As it is, unless it is relative and leads out of the release."""
        leads = os.readlink(path)
        meant = os.path.normpath(os.path.join(os.path.dirname(path), leads))
        is_inside = meant == self._root or meant.startswith(f"{self._root}/")
        os.symlink(leads if is_inside or leads.startswith("/") else meant, target)

    def _file(self, path: str, target: str) -> None:
        """The same file under another name; a database stays the one of the release, which SQLite needs to be one."""
        if path.endswith(_DATABASES):
            os.symlink(path, target)
            return
        if any(path.endswith(f"{kind}{end}") for kind in _DATABASES for end in _JOURNALS):
            return
        if self._links:
            try:
                os.link(path, target)
            except OSError as problem:
                self._links = problem.errno != errno.EXDEV
            else:
                return
        shutil.copy2(path, target)
        self._like(target, os.stat(path))

    def _like(self, target: str, found: os.stat_result) -> None:
        if self._is_root:
            os.chown(target, found.st_uid, found.st_gid)
        os.chmod(target, stat.S_IMODE(found.st_mode))
