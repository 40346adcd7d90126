"""The application in Django's registry."""

from django.apps import AppConfig


class EventsConfig(AppConfig):
    """A calendar of events."""

    name = "events"

    def ready(self) -> None:
        """Tell open pages of every change, whoever makes it."""
        from django.db.models.signals import post_delete, post_save

        from . import live
        from .models import Event

        post_save.connect(live.announce, sender=Event)
        post_delete.connect(live.announce, sender=Event)
