"""`application` of a Django project: what its WSGI_APPLICATION names, else Django's own."""

from __future__ import annotations

from django.core.servers.basehttp import get_internal_wsgi_application

application = get_internal_wsgi_application()
