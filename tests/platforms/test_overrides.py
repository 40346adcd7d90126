"""Which settings of a Django project are replaced for a tenant, and which stay: pure, without Django."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

import atcgen.platforms

_FILE = Path(atcgen.platforms.__file__).parent / "shims/python/atc_overrides.py"


def _overrides(own: dict[str, Any], here: Path, **environ: str) -> dict[str, Any]:
    found = importlib.util.spec_from_file_location("atc_overrides", _FILE)
    assert found
    assert found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    about = {
        "ATC_TENANT_DIR": str(here),
        "ATC_TENANT": "boston/april",
        "SCRIPT_NAME": "/boston/april",
        "DATABASE_PATH": f"{here}/db.sqlite3",
        "SECRET_KEY": "own",
        "STATIC_ROOT": "/srv/app/staticfiles",
    }
    said: dict[str, Any] = module.overrides(own, about | environ)
    return said


def _sqlite(name: str) -> dict[str, Any]:
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": name}


def test_databases_go_to_the_tenant_under_their_names(tmp_path: Path) -> None:
    """The default one is the tenant's first; two of one name are told apart; what is no file stays."""
    servers = {"ENGINE": "django.db.backends.postgresql", "NAME": "calendar"}
    own = {
        "default": _sqlite("/srv/app/main.sqlite3") | {"OPTIONS": {"timeout": 20}},
        "audit": _sqlite("/srv/app/audit.sqlite3"),
        "old": _sqlite("/srv/app/old/audit.sqlite3"),
        "memory": _sqlite(":memory:"),
        "mine": _sqlite(f"{tmp_path}/sub/mine.sqlite3"),
        "server": servers,
    }

    said = _overrides({"DATABASES": own}, tmp_path)["DATABASES"]

    assert {alias: each["NAME"] for alias, each in said.items()} == {
        "default": f"{tmp_path}/db.sqlite3",
        "audit": f"{tmp_path}/audit.sqlite3",
        "old": f"{tmp_path}/old.sqlite3",
        "memory": ":memory:",
        "mine": f"{tmp_path}/sub/mine.sqlite3",
        "server": "calendar",
    }
    assert said["default"]["OPTIONS"] == {"timeout": 20}
    assert said["server"] is servers


def test_urls_are_below_the_prefix(tmp_path: Path) -> None:
    """But those of other hosts, and those that are there already, and names of pages."""
    own = {
        "STATIC_URL": "/assets/",
        "MEDIA_URL": "https://media.example/",
        "LOGIN_REDIRECT_URL": "home",
        "LOGOUT_REDIRECT_URL": "/boston/april/",
    }

    said = _overrides(own, tmp_path)

    assert said["FORCE_SCRIPT_NAME"] == "/boston/april"
    assert (said["STATIC_URL"], said["LOGIN_URL"]) == ("/boston/april/static/", "/boston/april/accounts/login/")
    assert not {"MEDIA_URL", "LOGIN_REDIRECT_URL", "LOGOUT_REDIRECT_URL"} & set(said)
    assert _overrides(own, tmp_path, SCRIPT_NAME="")["FORCE_SCRIPT_NAME"] is None


@pytest.mark.parametrize(
    ("own", "environ", "hosts"),
    [
        ([], {}, ["*"]),
        ([], {"ATC_TENANT_HOST": "a.example"}, ["a.example", "localhost"]),
        (["b.example"], {}, ["b.example", "localhost"]),
        (["b.example"], {"ALLOWED_HOSTS": "c.example, d.example"}, ["c.example", "d.example", "localhost"]),
    ],
)
def test_hosts(own: list[str], environ: dict[str, str], hosts: list[str], tmp_path: Path) -> None:
    """The environment's, else the project's, else the tenant's; who asks for health is let in."""
    assert _overrides({"ALLOWED_HOSTS": own}, tmp_path, **environ)["ALLOWED_HOSTS"] == hosts


def test_nothing_is_shared_with_other_tenants(tmp_path: Path) -> None:
    """Secrets, caches, sessions in files, channels, uploads, and log files."""
    own = {
        "SECRET_KEY": "one for all",
        "DEBUG": True,
        "MEDIA_ROOT": "/srv/app/media",
        "SESSION_ENGINE": "django.contrib.sessions.backends.file",
        "CACHES": {
            "default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": "/var/tmp/c"},
            "far": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "r", "KEY_PREFIX": "k"},
        },
        "CHANNEL_LAYERS": {"default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": []}}},
        "LOGGING": {"handlers": {"file": {"class": "logging.FileHandler", "filename": "/srv/log", "level": "INFO"}}},
    }

    said = _overrides(own, tmp_path)

    assert (said["SECRET_KEY"], said["DEBUG"]) == ("own", False)
    assert said["MEDIA_ROOT"] == str(tmp_path / "media")
    assert said["SESSION_FILE_PATH"] == str(tmp_path / "sessions")
    assert Path(said["SESSION_FILE_PATH"]).is_dir()
    assert said["CACHES"]["default"]["LOCATION"] == str(tmp_path / "cache/default")
    assert said["CACHES"]["far"] == own["CACHES"]["far"] | {"KEY_PREFIX": "boston/april:k"}  # type: ignore[index]
    assert said["CHANNEL_LAYERS"]["default"]["CONFIG"] == {"hosts": [], "prefix": "asgi:boston/april"}
    assert said["LOGGING"]["handlers"]["file"] == {"class": "logging.StreamHandler", "level": "INFO"}


def test_what_the_project_has_right_stays(tmp_path: Path) -> None:
    """Its own proxy header, its uploads below the tenant, its logging to stderr."""
    own = {
        "SECURE_PROXY_SSL_HEADER": ("HTTP_X_PROTO", "tls"),
        "MEDIA_ROOT": f"{tmp_path}/files",
        "LOGGING": {"version": 1, "handlers": {"err": {"class": "logging.StreamHandler"}}},
    }

    said = _overrides(own, tmp_path)

    assert said["SECURE_PROXY_SSL_HEADER"] == ("HTTP_X_PROTO", "tls")
    assert "MEDIA_ROOT" not in said
    assert said["LOGGING"] == own["LOGGING"]
