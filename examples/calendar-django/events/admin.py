"""Events in Django's admin."""

from django.contrib import admin

from .models import Event

admin.site.register(Event, list_display=("title", "day", "start", "end", "author"), list_filter=("day",))
