"""The pages about events."""

from calendar import Calendar
from datetime import date, time
from typing import NamedTuple

from flask import Blueprint, Response, flash, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from . import queries, uploads
from .forms import EventForm
from .live import announce
from .models import Event, db
from .settings import FIRST_YEAR, LAST_YEAR

PER_PAGE = 50

blueprint = Blueprint("pages", __name__)


class Month(NamedTuple):
    """A month that has a page."""

    year: int
    month: int

    @property
    def first(self) -> date:
        """The first day of the month."""
        return date(self.year, self.month, 1)

    def moved(self, months: int) -> "Month | None":
        """The month so many months away, or None where the calendar ends."""
        year, month = divmod(self.year * 12 + self.month - 1 + months, 12)
        return Month(year, month + 1) if FIRST_YEAR <= year <= LAST_YEAR else None


@blueprint.get("/")
def home() -> str:
    """The current month."""
    today = date.today()
    return month(today.year, today.month)


@blueprint.get(f"/month/<int(min={FIRST_YEAR},max={LAST_YEAR}):year>/<int(min=1,max=12):month>")
def month(year: int, month: int) -> str:
    """One month as a grid of weeks."""
    shown = Month(year, month)
    weeks = Calendar().monthdatescalendar(year, month)
    return render_template(
        "month.html",
        shown=shown,
        previous=shown.moved(-1),
        next=shown.moved(1),
        weeks=weeks,
        days=queries.days_between(weeks[0][0], weeks[-1][-1]),
        today=date.today(),
    )


@blueprint.get("/agenda")
def agenda() -> str:
    """The coming events."""
    events = db.paginate(queries.events_from(date.today()), per_page=PER_PAGE)
    return render_template("agenda.html", events=events, by_day=queries.by_day(events))


@blueprint.get("/agenda/past")
def past() -> str:
    """The events that are over."""
    events = db.paginate(queries.events_before(date.today()), per_page=PER_PAGE)
    return render_template("agenda.html", events=events, by_day=queries.by_day(events))


@blueprint.get("/day/<date:day>")
def day(day: date) -> str:
    """The events of one day."""
    events = db.paginate(queries.events_on(day), per_page=PER_PAGE)
    return render_template(
        "agenda.html",
        events=events,
        by_day=queries.by_day(events),
        day=day,
        has_month=FIRST_YEAR <= day.year <= LAST_YEAR,
    )


@blueprint.get("/events/<int:event_id>")
def event(event_id: int) -> str:
    """One event."""
    return render_template("event.html", event=db.get_or_404(Event, event_id))


@blueprint.route("/events/new", methods=["GET", "POST"])
def create() -> str | AnyResponse:
    """Add an event."""
    form = EventForm(day=_chosen_day(), start=time(9), end=time(10))
    if form.validate_on_submit():
        event = Event(author=session.get("name"))
        db.session.add(event)
        return _saved(form, event, "created")
    return render_template("event_form.html", form=form, event=None)


@blueprint.route("/events/<int:event_id>/edit", methods=["GET", "POST"])
def edit(event_id: int) -> str | AnyResponse:
    """Change an event."""
    event = db.get_or_404(Event, event_id)
    form = EventForm(obj=event)
    if form.validate_on_submit():
        return _saved(form, event, "changed")
    return render_template("event_form.html", form=form, event=event)


@blueprint.post("/events/<int:event_id>/delete")
def delete(event_id: int) -> AnyResponse:
    """Delete an event for good."""
    event = db.get_or_404(Event, event_id)
    shown, title, key = Month(event.day.year, event.day.month), event.title, event.attachment_key
    db.session.delete(event)
    db.session.commit()
    uploads.discard(key)
    announce("deleted", event_id)
    flash(f"“{title}” was deleted.")
    return redirect(url_for("pages.month", year=shown.year, month=shown.month))


@blueprint.get("/events/<int:event_id>/attachment")
def attachment(event_id: int) -> Response:
    """Download the file of an event."""
    return uploads.download(db.get_or_404(Event, event_id))


def _chosen_day() -> date:
    try:
        return date.fromisoformat(request.args.get("day", ""))
    except ValueError:
        return date.today()


def _saved(form: EventForm, event: Event, action: str) -> AnyResponse:
    for name in ("title", "day", "start", "end", "notes"):
        setattr(event, name, form[name].data)
    old_key = event.attachment_key
    if form.attachment.data:
        uploads.attach(event, form.attachment.data)
    elif form.remove_attachment.data:
        uploads.detach(event)
    new_key = event.attachment_key
    db.session.commit()
    if old_key != new_key:
        uploads.discard(old_key)
    announce(action, event.id)
    flash(f"“{event.title}” was saved.")
    return redirect(url_for("pages.event", event_id=event.id))
