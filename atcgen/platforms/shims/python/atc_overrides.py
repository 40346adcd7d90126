"""Which settings of a Django project are not the same for all tenants: the project's settings and the environment in,
those that replace them out. Nothing is replaced that the project's settings have right already.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Settings = Mapping[str, Any]
_YES = ("1", "true", "yes", "on")
_LEADING = ("LOGIN_URL", "LOGIN_REDIRECT_URL", "LOGOUT_REDIRECT_URL")


def overrides(own: Settings, environ: Mapping[str, str]) -> dict[str, Any]:
    """What replaces the project's own."""
    here, prefix = Path(environ["ATC_TENANT_DIR"]), environ.get("SCRIPT_NAME", "")
    return {
        "SECRET_KEY": environ.get("SECRET_KEY") or own.get("SECRET_KEY", ""),
        "DEBUG": environ.get("DEBUG", "").lower() in _YES,
        "ALLOWED_HOSTS": _hosts(own, environ),
        "DATABASES": _databases(own.get("DATABASES", {}), here, environ.get("DATABASE_PATH", "")),
        "SECURE_PROXY_SSL_HEADER": own.get("SECURE_PROXY_SSL_HEADER") or ("HTTP_X_FORWARDED_PROTO", "https"),
        **_urls(own, prefix),
        **_files(own, here, environ),
        **_kept_apart(own, here, environ.get("ATC_TENANT", "")),
        **_logging(own),
    }


def _hosts(own: Settings, environ: Mapping[str, str]) -> list[str]:
    """The environment's, the project's, the tenant's, or any; and whoever asks whether the process is ready."""
    said = [each.strip() for each in environ.get("ALLOWED_HOSTS", "").split(",") if each.strip()]
    known = said or list(own.get("ALLOWED_HOSTS", ())) or [environ.get("ATC_TENANT_HOST") or "*"]
    return known if "*" in known else [*known, "localhost"]


def _databases(own: Mapping[str, Any], here: Path, first: str) -> dict[str, Any]:
    """Files of SQLite go to the tenant's directory under their names; `default` is the tenant's first database."""
    found: dict[str, Any] = {}
    taken = {first}
    for alias, said in own.items():
        name = str(said.get("NAME") or "")
        is_file = "sqlite3" in said.get("ENGINE", "") or said.get("ENGINE", "").endswith("spatialite")
        if not is_file or ":memory:" in name or name.startswith("file:") or _is_within(name, here):
            found[alias] = said
            continue
        place = str(here / (Path(name).name or f"{alias}.sqlite3"))
        if alias == "default" and first:
            place = first
        elif place in taken:
            place = str(here / f"{alias}.sqlite3")
        taken.add(place)
        found[alias] = {**said, "NAME": place}
    return found


def _urls(own: Settings, prefix: str) -> dict[str, Any]:
    """Below the prefix. nginx serves `static` and `media`; what another host serves stays."""
    said: dict[str, Any] = {"FORCE_SCRIPT_NAME": prefix or None}
    for name, usual in (("STATIC_URL", "static"), ("MEDIA_URL", "media")):
        url = str(own.get(name) or "")
        if "//" not in url and (url or name == "MEDIA_URL"):
            said[name] = f"{prefix}/{usual}/"
    for name in _LEADING:
        url = own.get(name, "/accounts/login/" if name == "LOGIN_URL" else None)
        if isinstance(url, str) and url.startswith("/") and not f"{url}/".startswith(f"{prefix}/"):
            said[name] = prefix + url
    return said


def _files(own: Settings, here: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """Where files are: what was collected is one for all tenants, what people upload is the tenant's."""
    said: dict[str, Any] = {"STATIC_ROOT": environ.get("STATIC_ROOT") or own.get("STATIC_ROOT")}
    if not _is_within(str(own.get("MEDIA_ROOT") or ""), here):
        said["MEDIA_ROOT"] = str(here / "media")
    return said


def _kept_apart(own: Settings, here: Path, tenant: str) -> dict[str, Any]:
    """Caches, sessions in files, and channels: others' keys are never ours."""
    said: dict[str, Any] = {}
    if own.get("CACHES"):
        said["CACHES"] = {alias: _cache(alias, each, here, tenant) for alias, each in own["CACHES"].items()}
    if str(own.get("SESSION_ENGINE", "")).endswith(".file"):
        sessions = here / "sessions"
        sessions.mkdir(mode=0o700, exist_ok=True)
        said["SESSION_FILE_PATH"] = str(sessions)
    if own.get("CHANNEL_LAYERS"):
        said["CHANNEL_LAYERS"] = {alias: _layer(each, tenant) for alias, each in own["CHANNEL_LAYERS"].items()}
    return said


def _cache(alias: str, own: Mapping[str, Any], here: Path, tenant: str) -> dict[str, Any]:
    said = {**own, "KEY_PREFIX": ":".join(each for each in (tenant, str(own.get("KEY_PREFIX", ""))) if each)}
    if str(own.get("BACKEND", "")).endswith("FileBasedCache"):
        said["LOCATION"] = str(here / "cache" / alias)
    return said


def _layer(own: Mapping[str, Any], tenant: str) -> dict[str, Any]:
    if "redis" not in str(own.get("BACKEND", "")):
        return dict(own)
    config = dict(own.get("CONFIG", {}))
    return {**own, "CONFIG": {**config, "prefix": f"{config.get('prefix', 'asgi')}:{tenant}"}}


def _logging(own: Settings) -> dict[str, Any]:
    """To stderr, which is the tenant's log. Without DEBUG Django would say nothing of an error."""
    said = own.get("LOGGING")
    if not said:
        plain = {"format": "%(levelname)s %(name)s: %(message)s"}
        stderr = {"class": "logging.StreamHandler", "formatter": "plain"}
        return {
            "LOGGING": {
                "version": 1,
                "disable_existing_loggers": False,
                "formatters": {"plain": plain},
                "handlers": {"stderr": stderr},
                "root": {"handlers": ["stderr"], "level": "WARNING"},
            }
        }
    handlers = {name: _handler(each) for name, each in said.get("handlers", {}).items()}
    return {"LOGGING": {**said, "handlers": handlers}}


def _handler(own: Mapping[str, Any]) -> dict[str, Any]:
    """One that writes to a file, which all tenants would share, writes to stderr instead."""
    if "filename" not in own:
        return dict(own)
    kept = {name: value for name, value in own.items() if name in ("level", "formatter", "filters")}
    return {"class": "logging.StreamHandler", **kept}


def _is_within(path: str, directory: Path) -> bool:
    return bool(path) and os.path.abspath(path).startswith(f"{directory}{os.sep}")
