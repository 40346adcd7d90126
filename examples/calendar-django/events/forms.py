"""The forms people fill in."""

from typing import Any

from django import forms

from .models import Event


class EventForm(forms.ModelForm):
    """Everything about an event."""

    class Meta:
        """Browsers have controls for days and times."""

        model = Event
        fields = ("title", "day", "start", "end", "notes", "attachment")
        widgets = {  # noqa: RUF012 - as Django has it
            "day": forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
            "start": forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
            "end": forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
            "notes": forms.Textarea(attrs={"rows": 5}),
        }

    def clean(self) -> dict[str, Any]:
        """An event ends after it starts."""
        said: dict[str, Any] = super().clean() or {}
        if said.get("start") and said.get("end") and said["end"] <= said["start"]:
            self.add_error("end", "The end must be later than the start.")
        return said


class SignInForm(forms.Form):
    """A name is all it takes."""

    name = forms.CharField(label="Your name", max_length=60)
