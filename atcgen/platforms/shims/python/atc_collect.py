"""Django's collectstatic, once for all tenants: nothing of the environment is any tenant's."""

from __future__ import annotations

import os
import sys
import tempfile

# What settings may insist on, and nobody uses here.
_NOBODYS = {
    "SECRET_KEY": "of nobody",
    "DJANGO_SECRET_KEY": "of nobody",
    "DATABASE_URL": "sqlite:///:memory:",
    "DATABASE_PATH": ":memory:",
}


def main() -> None:
    """Collects into STATIC_ROOT, where the project has static files at all."""
    import django
    from django.apps import apps
    from django.conf import settings
    from django.core.management import call_command

    django.setup()
    if apps.is_installed("django.contrib.staticfiles") and settings.STATIC_ROOT:
        call_command("collectstatic", interactive=False, verbosity=0)


if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    with tempfile.TemporaryDirectory() as nowhere:
        for name, value in {**_NOBODYS, "ATC_TENANT_DIR": nowhere}.items():
            os.environ.setdefault(name, value)
        main()
