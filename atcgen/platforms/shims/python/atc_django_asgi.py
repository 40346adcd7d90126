"""`application` of a Django project with channels: what its ASGI_APPLICATION names, else Django's own."""

from __future__ import annotations

from atc_prefix import below_prefix
from django.core.asgi import get_asgi_application

_own = get_asgi_application()  # first: importing the project's needs the applications to be ready


def _named() -> object:
    from django.conf import settings
    from django.utils.module_loading import import_string

    name = getattr(settings, "ASGI_APPLICATION", None)
    return import_string(name) if name else _own


application = below_prefix(_named())
