"""The database: one table of events."""

from django.db import models
from django.urls import reverse


class Event(models.Model):
    """Something that happens on one day."""

    title = models.CharField(max_length=120)
    day = models.DateField()
    start = models.TimeField("starts at")
    end = models.TimeField("ends at")
    notes = models.TextField(blank=True, max_length=5000)
    attachment = models.FileField(blank=True, upload_to="attachments")
    author = models.CharField(blank=True, editable=False, max_length=60)

    class Meta:
        """Soonest first."""

        ordering = ("day", "start", "id")
        indexes = (models.Index(fields=("day", "start"), name="events_by_time"),)

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        """Its page."""
        return reverse("event", args=[self.pk])
