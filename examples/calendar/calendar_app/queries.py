"""The questions the pages ask the database."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby

from sqlalchemy import Select, func, select

from .models import Event, db

SHOWN_PER_DAY = 3


@dataclass
class DayInMonth:
    """What the month grid shows of one day: its first events, and how many more there are."""

    events: list[Event] = field(default_factory=list)
    more: int = 0


def days_between(first: date, last: date) -> dict[date, DayInMonth]:
    """The days with events, each cut to what fits the grid however full the day is."""
    position = func.row_number().over(partition_by=Event.day, order_by=(Event.start, Event.id))
    total = func.count().over(partition_by=Event.day)
    ranked = (
        select(Event.id, position.label("position"), total.label("total"))
        .where(Event.day.between(first, last))
        .subquery()
    )
    rows = db.session.execute(
        select(Event, ranked.c.total)
        .join(ranked, ranked.c.id == Event.id)
        .where(ranked.c.position <= SHOWN_PER_DAY)
        .order_by(Event.day, Event.start, Event.id)
    )
    days: dict[date, DayInMonth] = {}
    for event, count in rows:
        day = days.setdefault(event.day, DayInMonth())
        day.events.append(event)
        day.more = count - len(day.events)
    return days


def events_from(day: date) -> Select[Event]:
    """The events of this day and all later ones, soonest first."""
    return select(Event).where(Event.day >= day).order_by(Event.day, Event.start, Event.id)


def events_before(day: date) -> Select[Event]:
    """The events of all earlier days, latest first."""
    return (
        select(Event)
        .where(Event.day < day)
        .order_by(Event.day.desc(), Event.start.desc(), Event.id.desc())
    )


def events_on(day: date) -> Select[Event]:
    """The events of one day, soonest first."""
    return select(Event).where(Event.day == day).order_by(Event.start, Event.id)


def by_day(events: Iterable[Event]) -> Iterator[tuple[date, list[Event]]]:
    """Group events that are already in the order of their days."""
    for day, group in groupby(events, key=lambda event: event.day):
        yield day, list(group)
