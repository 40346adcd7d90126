"""What every page knows."""

from django.conf import settings
from django.http import HttpRequest


def calendar(request: HttpRequest) -> dict[str, str]:
    """The calendar's title, and the name under which this browser adds events."""
    return {"calendar_title": settings.CALENDAR_TITLE, "person": request.session.get("name", "")}
