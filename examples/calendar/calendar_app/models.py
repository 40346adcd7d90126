"""The database: one table of events in an SQLite file."""

import zlib
from datetime import date, time

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, Engine, Index, String, Text, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import ConnectionPoolEntry

TINTS = 6


class Base(DeclarativeBase):
    """What all models share."""


db = SQLAlchemy(model_class=Base)


class Event(db.Model):  # type: ignore[misc, name-defined]
    """Something that happens on one day."""

    __tablename__ = "events"
    __table_args__ = (Index("events_by_time", "day", "start", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(120))
    day: Mapped[date]
    start: Mapped[time]
    end: Mapped[time]
    notes: Mapped[str] = mapped_column(Text, default="")
    author: Mapped[str | None] = mapped_column(String(60))
    attachment_name: Mapped[str | None] = mapped_column(String(255))
    attachment_key: Mapped[str | None] = mapped_column(String(32))
    attachment_size: Mapped[int | None] = mapped_column(BigInteger)

    @property
    def tint(self) -> int:
        """The number of the colour that all events of this author share."""
        return zlib.crc32((self.author or "").encode()) % TINTS


@event.listens_for(Engine, "connect")
def tune_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    """Let readers and one writer work at once, and let a second writer wait its turn."""
    cursor = connection.cursor()
    for pragma in ("busy_timeout = 10000", "journal_mode = WAL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
