"""The same events for programs, as JSON."""

from datetime import date
from typing import Any

from flask import Blueprint, Response, abort, jsonify, request, url_for
from werkzeug.datastructures import MultiDict

from . import queries
from .forms import EventForm
from .live import announce
from .models import Event, db

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000

blueprint = Blueprint("api", __name__, url_prefix="/api")


@blueprint.get("/events")
def list_events() -> Response:
    """The events from the day ?from= on, at most ?limit= of them."""
    limit = request.args.get("limit", DEFAULT_LIMIT, type=int)
    wanted = queries.events_from(_first_day()).limit(max(1, min(limit, MAX_LIMIT)))
    return jsonify(events=[_as_json(event) for event in db.session.scalars(wanted)])


@blueprint.post("/events")
def create_event() -> tuple[Response, int, dict[str, str]]:
    """Add an event, or say what is wrong with it."""
    values = request.get_json()
    if not isinstance(values, dict):
        abort(400, "Send one JSON object.")
    given = {name: str(value) for name, value in values.items() if value is not None}
    form = EventForm(formdata=MultiDict(given), meta={"csrf": False})
    if not form.validate():
        abort(_refusal(form.errors))
    event = Event(author=given.get("author", "").strip()[:60] or None)
    for name in ("title", "day", "start", "end", "notes"):
        setattr(event, name, form[name].data or "")
    db.session.add(event)
    db.session.commit()
    announce("created", event.id)
    answer = _as_json(event)
    return jsonify(answer), 201, {"Location": answer["url"]}


@blueprint.get("/events/<int:event_id>")
def show_event(event_id: int) -> Response:
    """One event."""
    return jsonify(_as_json(db.get_or_404(Event, event_id)))


def _first_day() -> date:
    try:
        return date.fromisoformat(request.args.get("from", date.min.isoformat()))
    except ValueError:
        abort(400, "Write the day as YYYY-MM-DD.")


def _refusal(errors: Any) -> Response:
    response = jsonify(error="The event is not valid.", fields=errors)
    response.status_code = 400
    return response


def _as_json(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "url": url_for("pages.event", event_id=event.id),
        "title": event.title,
        "day": event.day.isoformat(),
        "start": event.start.isoformat("minutes"),
        "end": event.end.isoformat("minutes"),
        "notes": event.notes,
        "author": event.author,
        "attachment": event.attachment_name,
    }
