"""The forms people fill in."""

from collections.abc import Callable

from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import BooleanField, DateField, StringField, TextAreaField, TimeField
from wtforms.validators import DataRequired, InputRequired, Length, ValidationError

from .settings import FIRST_YEAR, LAST_YEAR


def _strip(text: str | None) -> str | None:
    return text.strip() if text else text


def _one_line(text: str | None) -> str | None:
    return " ".join(text.split()) if text else text


_FILTERS: list[Callable[[str | None], str | None]] = [_one_line]


class EventForm(FlaskForm):
    """Everything about an event."""

    title = StringField(
        "Title",
        filters=_FILTERS,
        validators=[DataRequired("Give the event a title."), Length(max=120)],
    )
    day = DateField("Day", validators=[InputRequired("Choose a day.")])
    start = TimeField("Starts at", validators=[InputRequired("Say when it starts.")])
    end = TimeField("Ends at", validators=[InputRequired("Say when it ends.")])
    notes = TextAreaField("Notes", filters=[_strip], validators=[Length(max=5000)])
    attachment = FileField("Attachment")
    remove_attachment = BooleanField("Remove the attachment")

    def validate_day(self, field: DateField) -> None:
        """An event is in one of the months that have a page."""
        if field.data and not FIRST_YEAR <= field.data.year <= LAST_YEAR:
            raise ValidationError(f"The year must be between {FIRST_YEAR} and {LAST_YEAR}.")

    def validate_end(self, field: TimeField) -> None:
        """An event ends after it starts."""
        if self.start.data and field.data and field.data <= self.start.data:
            raise ValidationError("The end must be later than the start.")


class SignInForm(FlaskForm):
    """A name is all it takes."""

    name = StringField(
        "Your name", filters=_FILTERS, validators=[DataRequired("Enter a name."), Length(max=60)]
    )
