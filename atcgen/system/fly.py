"""The Machines API of Fly.io: one method per call, retries where a call can be repeated, and errors told apart."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any

import requests
from requests.auth import AuthBase

from atcgen.errors import AtcError, Unavailable

PUBLIC = "https://api.machines.dev"
INTERNAL = "http://_api.internal:4280"
_TRIES = 6
_LONGEST_PAUSE = 16.0  # seconds between two tries
_WAIT = 60  # seconds; the API waits no longer in one call
_TIMEOUT = (10, _WAIT + 20)
_AGAIN = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}


class FlyError(AtcError):
    """The API refused a call."""

    def __init__(self, message: str, status: int = 0, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class NotFound(FlyError):
    """There is no such thing."""


class NoCapacity(FlyError):
    """The region has no room for it now."""


class Held(FlyError):
    """Somebody else has the lease of the machine, or changed it meanwhile."""


class Unsure(FlyError):
    """Nobody knows whether the call had its effect: look before you repeat it."""


class _Token(AuthBase):
    """Given here, so that no .netrc is asked. It is never printed."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def open_fly(app: str, environ: Mapping[str, str]) -> Fly:
    """The API as the environment says; raises `Unavailable` without an app or a token."""
    if not app:
        raise Unavailable("nothing says which app of Fly.io it is", hint="fleet.app does, or FLY_APP_NAME")
    token = environ.get("FLY_API_TOKEN", "").strip()
    if not token:
        raise Unavailable("FLY_API_TOKEN is not set", hint=f"fly tokens create deploy -a {app}")
    if not (token.isascii() and token.isprintable()):
        raise Unavailable("FLY_API_TOKEN is no token: it holds characters that no header can")
    inside = INTERNAL if "FLY_MACHINE_ID" in environ else PUBLIC
    return Fly(app, token, environ.get("FLY_FLAPS_BASE_URL") or inside)


class Fly:
    """One app."""

    def __init__(
        self,
        app: str,
        token: str,
        base: str,
        *,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.app = app
        self._base = f"{base.rstrip('/')}/v1/apps/{app}"
        self._pause, self._clock = pause, clock
        self._session = requests.Session()
        self._session.auth = _Token(token)

    # machines

    def machines(self) -> list[dict[str, Any]]:
        """All that were not destroyed."""
        return self._list("/machines")

    def machine(self, machine: str) -> dict[str, Any]:
        """One."""
        return dict(self._call("GET", f"/machines/{machine}"))

    def create_machine(self, name: str, region: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """A machine that starts. Raises `NoCapacity`, or `Unsure` when it may be there."""
        body = {"name": name, "region": region, "config": config}
        return dict(self._call("POST", "/machines", body, repeatable=False))

    def update_machine(
        self, machine: str, config: Mapping[str, Any], version: str, lease: str, *, start: bool
    ) -> dict[str, Any]:
        """Replace the configuration of that version; the machine restarts, or sleeps on."""
        body = {"config": config, "current_version": version, "skip_launch": not start}
        return dict(self._call("POST", f"/machines/{machine}", body, lease=lease, repeatable=False))

    def start(self, machine: str) -> None:
        """Start or resume it."""
        self._call("POST", f"/machines/{machine}/start")

    def stop(self, machine: str, lease: str, seconds: int) -> None:
        """Tell it to stop; SIGTERM, and so many seconds."""
        body = {"signal": "SIGTERM", "timeout": f"{seconds}s"}
        self._call("POST", f"/machines/{machine}/stop", body, lease=lease)

    def destroy(self, machine: str, lease: str) -> None:
        """End one that is stopped for good; one that is gone already is as well."""
        self._gone("DELETE", f"/machines/{machine}", lease)

    def wait(self, machine: str, state: str, version: str, seconds: float) -> bool:
        """Until it is in that state; False when it was not for so long."""
        deadline = self._clock() + seconds
        while (left := deadline - self._clock()) > 0:
            query = f"state={state}&instance_id={version}&timeout={max(1, min(_WAIT, round(left)))}"
            try:
                self._call("GET", f"/machines/{machine}/wait?{query}", tries=1)
            except FlyError as problem:
                if problem.status != HTTPStatus.REQUEST_TIMEOUT and not isinstance(problem, Unsure):
                    raise
                self._pause(min(1.0, max(0.0, deadline - self._clock())))
                continue
            return True
        return False

    @contextmanager
    def lease(self, machine: str, seconds: float, patience: float = 0) -> Iterator[str]:
        """Hold a machine: nobody else changes it. Waits so long for one that somebody else holds; raises `Held`."""
        deadline = self._clock() + patience
        body = {"ttl": seconds, "description": "atc fleet apply"}
        while True:
            try:
                nonce = str(self._call("POST", f"/machines/{machine}/lease", body)["data"]["nonce"])
                break
            except Held:
                if self._clock() >= deadline:
                    raise
                self._pause(1.0)
        try:
            yield nonce
        finally:
            with suppress(FlyError):  # the machine is gone, or the lease ends by itself
                self._call("DELETE", f"/machines/{machine}/lease", lease=nonce)

    # volumes

    def volumes(self) -> list[dict[str, Any]]:
        """All that were not destroyed."""
        return self._list("/volumes")

    def create_volume(self, name: str, region: str, gigabytes: int, guest: Mapping[str, Any]) -> dict[str, Any]:
        """An empty disk on a host with room for such a machine. Raises `NoCapacity`, or `Unsure`."""
        body = {
            "name": name,
            "region": region,
            "size_gb": gigabytes,
            "require_unique_zone": False,
            "encrypted": True,
            "compute": guest,
        }
        return dict(self._call("POST", "/volumes", body, repeatable=False))

    def extend_volume(self, volume: str, gigabytes: int) -> None:
        """Make it larger."""
        self._call("PUT", f"/volumes/{volume}/extend", {"size_gb": gigabytes})

    def delete_volume(self, volume: str) -> None:
        """With what is on it; one that is gone already is as well."""
        self._gone("DELETE", f"/volumes/{volume}")

    # calls

    def _list(self, path: str) -> list[dict[str, Any]]:
        try:
            return list(self._call("GET", path))
        except NotFound:
            hint = f"fly apps create {self.app}"
            raise Unavailable(f"Fly.io has no app {self.app!r} for this token", hint=hint) from None

    def _gone(self, method: str, path: str, lease: str = "") -> None:
        with suppress(NotFound):
            self._call(method, path, lease=lease)

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        lease: str = "",
        repeatable: bool = True,
        tries: int = _TRIES,
    ) -> Any:
        """One call; repeated after a while when it surely had no effect, or may have it twice."""
        for attempt in range(1, tries + 1):
            try:
                return self._once(method, path, body, lease)
            except FlyError as problem:
                refused = problem.status == HTTPStatus.TOO_MANY_REQUESTS
                if attempt == tries or not (refused or (repeatable and isinstance(problem, Unsure))):
                    raise
            self._pause(min(_LONGEST_PAUSE, 0.5 * 2**attempt))
        raise AssertionError("unreachable")

    def _once(self, method: str, path: str, body: Mapping[str, Any] | None, lease: str) -> Any:
        headers = {"fly-machine-lease-nonce": lease} if lease else {}
        try:
            answer = self._session.request(method, self._base + path, json=body, headers=headers, timeout=_TIMEOUT)
        except requests.ConnectionError as problem:
            raise Unsure(f"the Machines API cannot be reached: {_reason(problem)}") from None
        except requests.RequestException as problem:
            raise Unsure(f"the Machines API did not answer: {type(problem).__name__}") from None
        if answer.ok:
            return answer.json() if answer.content else {}
        raise _refusal(answer, f"{method} {path.partition('?')[0]}")


def _refusal(answer: requests.Response, call: str) -> FlyError:
    try:
        said = answer.json()
    except ValueError:
        said = {}
    said = said if isinstance(said, dict) else {}
    words = str(said.get("error") or said.get("message") or answer.reason)
    status = answer.status_code
    text = f"{call}: {words} ({status})"
    if said.get("status") == "insufficient_capacity" or "insufficient resources" in words:
        return NoCapacity(words, status)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return FlyError(text, status, hint="is FLY_API_TOKEN for this app?")
    if status == HTTPStatus.NOT_FOUND:
        return NotFound(text, status)
    if status == HTTPStatus.CONFLICT and "already_exists" in words:
        return Unsure(text, status)
    if status == HTTPStatus.CONFLICT:
        return Held(text, status)
    if status in _AGAIN or status >= 500:
        return Unsure(text, status) if status != HTTPStatus.TOO_MANY_REQUESTS else FlyError(text, status)
    return FlyError(text, status)


def _reason(problem: Exception) -> str:
    """The innermost words of a failed connection."""
    inner: BaseException = problem
    while inner.args and isinstance(inner.args[-1], BaseException):
        inner = inner.args[-1]
    return str(getattr(inner, "reason", inner)).rsplit(": ", maxsplit=1)[-1]
