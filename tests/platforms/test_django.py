"""Django projects as tenants: what `startproject` makes, which nobody edited, and the example's calendar."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.platforms.browser import Browser, read
from tests.platforms.calendars import subject
from tests.platforms.environments import ROOT, environment
from tests.platforms.harness import Subject, verify
from tests.platforms.live import Live
from tests.system.running import Atc, serving_file

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


def _example() -> dict[str, Any]:
    environment("django")
    file = ROOT / "examples/calendar-django/atc.yml"
    app: dict[str, Any] = yaml.safe_load(file.read_text())["app"]
    return app | {"root": str(file.parent)}


def test_what_people_upload_is_the_tenants() -> None:
    """It lies below the tenant's directory, and nginx serves it below the tenant's prefix, to no other's readers."""
    form = {"title": "Choir", "day": "2026-05-04", "start": "09:00", "end": "10:00", "notes": ""}
    config = {"idle": "1h", "app": _example(), "users": {"a": {"tenants": {"x": None, "y": None}}}}
    server = {"bind": "127.0.0.1"}
    with serving_file(lambda port: yaml.safe_dump({**config, "server": {**server, "http_port": port}})) as atc:
        base = f"http://localhost:{atc.port}/a/x"
        atc.cli("start", "a/x")
        with requests.Session() as session:
            session.get(f"{base}/events/new", timeout=60)
            answer = session.post(
                f"{base}/events/new",
                data=form | {"csrfmiddlewaretoken": session.cookies["csrftoken"]},
                files={"attachment": ("plan.txt", b"the plan")},
                timeout=60,
            )
        assert answer.status_code == 200, answer.text
        (url,) = (each for each in read(answer.url, 200, answer.text).links if each.endswith("plan.txt"))

        assert url == f"{base}/media/attachments/plan.txt"
        assert atc.get("/a/x/media/attachments/plan.txt") == (200, "the plan")
        assert atc.get("/a/y/media/attachments/plan.txt")[0] == 404
        assert (atc.home / "data/a.x/media/attachments/plan.txt").read_text() == "the plan"
        assert atc.state("a/y") == "stopped"  # nobody is woken for a file


def test_the_calendar_of_the_example(tmp_path: Path) -> None:
    """As its atc.yml has it."""
    environment("django")
    verify(subject("django", tmp_path))
