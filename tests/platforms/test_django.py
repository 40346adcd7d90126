"""Django projects as tenants: what `startproject` makes, which nobody edited, and the example's calendar."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.platforms.browser import Browser
from tests.platforms.environments import ROOT, environment
from tests.platforms.harness import Subject, verify
from tests.platforms.live import Live
from tests.system.running import Atc

pytestmark = pytest.mark.system


# A project's own part of channels: whoever has the page open hears of every new group.
_CHANNELS = """
import asgiref.sync, channels.generic.websocket, channels.layers, channels.routing
from django.urls import path

class Changes(channels.generic.websocket.WebsocketConsumer):
    groups = ["changes"]
    def change(self, event):
        self.send("changed")

def tell(**_):
    send = asgiref.sync.async_to_sync(channels.layers.get_channel_layer().group_send)
    send("changes", {"type": "change"})

from django.contrib.auth.models import Group
from django.db.models.signals import post_save
post_save.connect(tell, sender=Group)
routes = channels.routing.URLRouter([path("ws/changes", Changes.as_asgi())])
application = channels.routing.ProtocolTypeRouter({"http": application, "websocket": routes})
"""
_SETTINGS = """
INSTALLED_APPS.append("channels")
ASGI_APPLICATION = "mysite.asgi.application"
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
"""


def _project(tmp_path: Path, venv: Path) -> Path:
    """What `startproject` and `startapp` leave behind."""
    for words in (["startproject", "mysite", "."], ["startapp", "polls"]):
        subprocess.run([venv / "bin/django-admin", *words], cwd=tmp_path, check=True)
    (tmp_path / ".venv").symlink_to(venv)
    return tmp_path


def _sign_in_to_admin(browser: Browser, atc: Atc, base: str, tenant: str) -> None:
    """As a superuser, whom `manage.py` makes in the tenant's environment."""
    plan = next(each for each in atc.plan().tenants if each.id == tenant)
    account = {"DJANGO_SUPERUSER_USERNAME": "admin", "DJANGO_SUPERUSER_PASSWORD": tenant}
    subprocess.run(
        [".venv/bin/python", "manage.py", "createsuperuser", "--noinput", "--email", "admin@example.com"],
        cwd=plan.root,
        env={**dict(plan.env), **account},
        check=False,  # there may be one
        capture_output=True,
    )
    page = browser.open(f"{base}/{tenant}/admin/login/")
    if "/login" not in page.url:
        return  # as one is from the other scheme
    form = page.form("username", "password")
    answer = browser.submit(form, form.values("") | {"username": "admin", "password": tenant})
    assert answer.status_code == 302, answer.text[:1000]


def _admin_of(name: str, root: Path, live: Live | None = None) -> Subject:
    return Subject(
        name,
        {"platform": "django", "root": str(root)},
        live,
        lists="/admin/",
        front=404,
        form="/admin/auth/group/add/",
        enter=_sign_in_to_admin,
        token="cookie",
        writes=("staticfiles/*",),
    )


def test_a_project_that_nobody_edited(tmp_path: Path) -> None:
    """Its admin: two tenants with sessions, databases, secrets and assets of their own."""
    verify(_admin_of("django, startproject", _project(tmp_path, environment("django"))))


def test_a_project_with_channels(tmp_path: Path) -> None:
    """Served by uvicorn, below its prefix, WebSockets too."""
    root = _project(tmp_path, environment("apps"))
    for name, text in (("asgi", _CHANNELS), ("settings", _SETTINGS)):
        with (root / f"mysite/{name}.py").open("a") as file:
            file.write(text)
    verify(_admin_of("django, channels", root, Live("websocket", "/ws/changes")))


def test_the_calendar_of_the_example() -> None:
    """As its atc.yml has it."""
    environment("django")
    file = ROOT / "examples/calendar-django/atc.yml"
    app = yaml.safe_load(file.read_text())["app"] | {"root": str(file.parent)}
    live = Live("events", "/live")
    verify(
        Subject(
            "django, examples/calendar-django",
            app,
            live,
            sign_in="/sign-in",
            token="cookie",
            writes=("staticfiles/*",),
        )
    )
