"""Where databases are copied to: the store of the installation, and what a tenant has in it."""

from __future__ import annotations

import re

from atcgen.compiler import interpolate
from atcgen.compiler.names import REPLICA, socket_directory
from atcgen.compiler.paths import absolute, is_made
from atcgen.compiler.plan import BackupPlan, Host, Paths, StorePlan
from atcgen.compiler.schema import Backup, Storage

# Amazon's rules, and a prefix of plain segments.
_S3 = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[A-Za-z0-9!_.*'()~+=@-]+)*/?\Z")
_FILE = "file:"


def url_problem(text: str) -> str:
    """Why something cannot be a store, '' when it can."""
    if _S3.match(text) or (text.startswith(_FILE) and text.removeprefix(_FILE).strip("/")):
        return ""
    return f"{text!r} is neither s3://BUCKET/PREFIX nor file:DIRECTORY"


def store_plan(storage: Storage, host: Host) -> StorePlan:
    """The store, with what the environment says of it."""

    def given(text: str | None, variable: str) -> str:
        return interpolate.expand(text, {}, host.environ) if text else host.environ.get(variable, "")

    if not storage.replica:
        return StorePlan("", "", "", storage.lease, storage.grace, storage.drill)
    url = interpolate.expand(storage.replica, {}, host.environ)
    endpoint = region = ""
    if not url.startswith(_FILE):
        endpoint, region = given(storage.endpoint, "AWS_ENDPOINT_URL_S3"), given(storage.region, "AWS_REGION")
    return StorePlan(store_url(url, host), endpoint, region, storage.lease, storage.grace, storage.drill)


def store_url(text: str, host: Host) -> str:
    """The one URL of a store that may be written in several ways."""
    if not text.startswith(_FILE):
        return text.rstrip("/")
    directory = re.sub(r"^/*(?=/)", "", text.removeprefix(_FILE))
    return f"{_FILE}//{absolute(host.base, directory)}"


def here_problem(url: str, host: Host) -> str:
    """What a store lacks on this machine, '' where nothing is known to be missing."""
    if not url.startswith(_FILE):
        given = host.environ.get("AWS_ACCESS_KEY_ID") and host.environ.get("AWS_SECRET_ACCESS_KEY")
        # Who serves hears it as the error that it is then.
        return "" if given or host.serving else f"{url} needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    path = url.removeprefix(f"{_FILE}//")
    if is_made(path, host.base, host.state) or host.is_directory(path):
        return ""
    return f"{url} does not exist: there is no such directory"


def backup_plan(program: str, backup: Backup, paths: Paths) -> BackupPlan:
    """What becomes of the databases of a tenant."""
    return BackupPlan(
        program=f"{REPLICA}{program}",
        directory=socket_directory(f"{paths.run}/replica", program),
        key=f"tenants/{program}",
        sync=backup.sync,
        files=backup.files,
        snapshots=backup.snapshots,
        retention=backup.retention,
    )
