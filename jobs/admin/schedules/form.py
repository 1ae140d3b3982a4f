"""The form of a schedule: its texts become an entry as settings.JOB_SCHEDULES has them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.http import QueryDict
from django.utils.html import format_html

from jobs import conf
from jobs.admin import addresses
from jobs.admin.schedules import texts
from jobs.admin.schedules.steps import with_secrets
from jobs.errors import Fault, ScheduleChanged
from jobs.insights.schedules.moments import zone_of
from jobs.insights.schedules.shown import shown_steps
from jobs.models import Schedule
from jobs.schedules import control, declaration

WORKFLOW = ""  # in the place of a job class
_LOCAL = "%Y-%m-%dT%H:%M:%S"
_MOMENTS = ("start_at", "end_at")
_OF_TIME = ("cron", "every", "timezone", *_MOMENTS)
# The keys of an entry that have a field of their name.
_KEYS = (*_OF_TIME, "queue", "overlap", "catch_up", "jitter", "enabled")


def _text(label: str, help_text: str, **attrs: str) -> forms.CharField:
    widget = forms.TextInput(attrs={"class": "vTextField", **attrs})
    return forms.CharField(label=label, required=False, help_text=help_text, widget=widget)


def _moment(label: str, help_text: str) -> forms.CharField:
    widget = forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"})
    return forms.CharField(label=label, required=False, help_text=help_text, widget=widget)


class ScheduleForm(forms.Form):
    """All of a schedule but its params; what is wrong with it, `declaration` says."""

    name = _text("Name", "Letters, digits, '_' and '-'.", autocomplete="off")
    job = forms.ChoiceField(label="Job class", required=False)
    steps = forms.CharField(
        label="Steps",
        required=False,
        help_text='JSON: {"load": {"job": "Load"}, "sum": {"job": "Sum", "after": ["load"]}}.',
        widget=forms.Textarea(attrs={"rows": "8", "cols": "60", "spellcheck": "false"}),
    )
    cron = forms.CharField(
        label="Cron",
        required=False,
        help_text="Minute, hour, day, month, weekday: 0 2 * * mon-fri. Six fields begin with "
        "seconds. Several lines are one schedule. Or an interval below.",
        widget=forms.Textarea(attrs={"rows": "3", "cols": "40", "spellcheck": "false"}),
    )
    every = _text("Every", "15m, 1h 30m, 2d; counted from its start, else from 1970 in UTC.")
    timezone = _text("Time zone", "Whose clocks the cron lines name.", list="zones")
    start_at = _moment("Not before", "In its time zone.")
    end_at = _moment("Not after", "In its time zone.")
    overlap = forms.ChoiceField(
        label="Overlap",
        required=False,
        widget=forms.RadioSelect,
        choices=[
            (word.value, f"{word.label.lower()}: {meaning}")
            for word, meaning in texts.OVERLAP.items()
        ],
    )
    catch_up = _text(
        "Catch-up",
        "Of moments that no scheduler was there for: none are made, the last one, or all of a "
        "window such as 1h.",
        list="catch-ups",
    )
    jitter = _text("Jitter", "A run starts up to so much later: 30s. Empty: on time.")
    queue = forms.ChoiceField(label="Queue", required=False)
    enabled = forms.BooleanField(
        label="Enabled", required=False, help_text="Unticked it makes no jobs by itself."
    )
    note = _text("Why", "Kept with the change, for people.", maxlength="500")
    # Which version of the schedule was there when the form was opened.
    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(
        self, schedule: Schedule | None, classes: Iterable[str], *args: Any, **kwargs: Any
    ) -> None:
        self.schedule = schedule
        kwargs["initial"] = {**_initial(schedule), **(kwargs.get("initial") or {})}
        super().__init__(*args, **kwargs)
        del self.fields["seen" if schedule is None else "name"]
        choices = [(name, name) for name in classes]
        if schedule is None and choices:
            self.initial.setdefault("job", choices[0][0])
        self._choose("job", [*choices, (WORKFLOW, "A workflow of several steps")])
        queues = [(name, name) for name in conf.current().queues]
        self._choose("queue", [("", "the job class's own"), *queues])

    def _choose(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
        field.choices = choices

    def clean_steps(self) -> dict[str, Any] | None:
        """The steps as JSON, where it is a workflow."""
        text = self.cleaned_data["steps"]
        if self.cleaned_data.get("job") != WORKFLOW:
            return None
        try:
            found = json.loads(text or "null")
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(f"This is not JSON: {error}") from error
        if not isinstance(found, dict):
            raise forms.ValidationError("Name the steps: a JSON object.")
        stored = self.schedule.steps if self.schedule is not None else None
        return with_secrets(found, stored or {})

    def entry(self, params: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return what is written as an entry of JOB_SCHEDULES. The form is valid."""
        return {
            **entry_of_texts(self.cleaned_data, self.schedule),
            "job": self.cleaned_data["job"] or None,
            "steps": self.cleaned_data["steps"],
            "params": params or None,
        }

    def add_overtaken(self, error: ScheduleChanged) -> None:
        """Say that somebody else was faster; what is typed stays, and may be saved again."""
        told = (
            '{} <a href="{}" target="_blank">Open it beside this</a>. To have what stands below '
            "all the same, save again."
        )
        self.add_error(None, format_html(told, str(error), addresses.of_schedule(error.name)))
        assert isinstance(self.data, QueryDict)  # noqa: S101 - it was sent
        data = self.data.copy()
        data["seen"] = error.version
        self.data = data

    def add_faults(self, faults: Iterable[Fault]) -> None:
        """Show each fault at the field of its key."""
        for fault in faults:
            place = fault["param"] if fault["param"] in self.fields else None
            self.add_error(place, fault["message"])


def entry_of_texts(data: Mapping[str, Any], schedule: Schedule | None) -> dict[str, Any]:
    """Return the keys that say when it is due and what is done then, from the form's texts."""
    entry = {key: data.get(key) for key in _KEYS}
    entry["enabled"] = bool(entry["enabled"])
    stored = _initial(schedule)
    for key in _MOMENTS:
        # The field shows whole seconds; what nobody touched stays exactly what it is.
        if schedule is not None and entry[key] and entry[key] == stored[key]:
            moment: datetime | None = getattr(schedule, key)
            entry[key] = moment.isoformat() if moment else None
    return entry


def zones() -> list[str]:
    """Return the names of all time zones, for the field's list."""
    return sorted(available_timezones())


def _initial(schedule: Schedule | None) -> dict[str, Any]:
    if schedule is None:
        words = {"timezone": settings.TIME_ZONE, "overlap": "skip", "catch_up": "last"}
        return {**words, "enabled": True}
    entry, steps = declaration.entry_of(schedule), shown_steps(schedule)
    shown = {key: entry.get(key, "") for key in _KEYS}
    zone = zone_of(schedule)
    for key in _MOMENTS:
        moment: datetime | None = getattr(schedule, key)
        shown[key] = moment.astimezone(zone).strftime(_LOCAL) if moment else ""
    return {
        **shown,
        "cron": "\n".join(schedule.crons),
        "job": schedule.job_class,
        "seen": control.version(schedule),
        "steps": json.dumps(steps, indent=2, ensure_ascii=False) if steps else "",
    }
