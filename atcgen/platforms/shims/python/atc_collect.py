"""Django's collectstatic, once for all tenants: one process at a time, and only where there is something to collect."""

from __future__ import annotations

import fcntl
import sys


def main() -> None:
    """Collects into STATIC_ROOT."""
    import django
    from django.apps import apps
    from django.conf import settings
    from django.core.management import call_command

    django.setup()
    if apps.is_installed("django.contrib.staticfiles") and settings.STATIC_ROOT:
        with open("manage.py", encoding="utf-8") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            call_command("collectstatic", interactive=False, verbosity=0)


if __name__ == "__main__":
    sys.path.insert(0, "")
    main()
