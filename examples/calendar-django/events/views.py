"""The pages."""

from calendar import Calendar
from collections import defaultdict
from datetime import MAXYEAR, date
from typing import Any

from django.contrib import messages
from django.contrib.messages.views import SuccessMessageMixin
from django.db.models import QuerySet
from django.forms import BaseModelForm, Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils import timezone
from django.views.decorators.http import require_POST
from django.views.generic import CreateView, DeleteView, DetailView, FormView, ListView, UpdateView

from .forms import EventForm, SignInForm
from .models import Event


def up(request: HttpRequest) -> HttpResponse:
    """Say that the process answers; this touches no database."""
    return HttpResponse("ok", content_type="text/plain")


def month(request: HttpRequest, year: int = 0, month: int = 0) -> HttpResponse:
    """One month as a grid of weeks; the current one when none is named."""
    today = timezone.localdate()
    year, month = (year, month) if year else (today.year, today.month)
    if not (1 < year < MAXYEAR and 1 <= month <= 12):
        raise Http404
    weeks = Calendar().monthdatescalendar(year, month)
    days: dict[date, list[Event]] = defaultdict(list)
    for event in Event.objects.filter(day__range=(weeks[0][0], weeks[-1][-1])):
        days[event.day].append(event)
    first = date(year, month, 1)
    said = {
        "first": first,
        "previous": date(year - (month == 1), (month - 2) % 12 + 1, 1),
        "next": date(year + (month == 12), month % 12 + 1, 1),
        "today": today,
        "weeks": [[(day, days.get(day, [])) for day in week] for week in weeks],
    }
    return render(request, "events/month.html", said)


class Agenda(ListView):
    """The coming events."""

    template_name = "events/agenda.html"
    paginate_by = 50

    def get_queryset(self) -> QuerySet[Event]:
        """From today on."""
        return Event.objects.filter(day__gte=timezone.localdate())


class ShowEvent(DetailView):
    """One event."""

    model = Event


class NewEvent(SuccessMessageMixin, CreateView):
    """Add an event."""

    model = Event
    form_class = EventForm
    success_message = "“%(title)s” was saved."

    def get_initial(self) -> dict[str, Any]:
        """Today, in the morning."""
        return {"day": timezone.localdate(), "start": "09:00", "end": "10:00"}

    def form_valid(self, form: BaseModelForm) -> HttpResponse:
        """Note who adds it."""
        form.instance.author = self.request.session.get("name", "")
        return super().form_valid(form)


class EditEvent(SuccessMessageMixin, UpdateView):
    """Change an event."""

    model = Event
    form_class = EventForm
    success_message = "“%(title)s” was saved."


class DeleteEvent(SuccessMessageMixin, DeleteView):
    """Delete an event for good, after a page that asks."""

    model = Event
    success_url = reverse_lazy("home")
    success_message = "The event was deleted."


class SignIn(FormView):
    """Ask for the name under which this browser adds events."""

    template_name = "events/sign_in.html"
    form_class = SignInForm
    success_url = reverse_lazy("home")

    def form_valid(self, form: Form) -> HttpResponse:
        """The session keeps it."""
        self.request.session["name"] = form.cleaned_data["name"]
        messages.success(self.request, f"Hello, {form.cleaned_data['name']}.")
        return super().form_valid(form)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """Forget the name."""
    request.session.flush()
    return redirect("home")
