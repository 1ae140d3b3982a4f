"""A form made from a job class's JSON schema; the class itself does the checking."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from jobs.admin.param_schema import Kind, Param, params_of
from jobs.errors import Fault
from jobs.json_values import REDACTED
from jobs.spec import JobSpec

PREFIX = "param-"  # a param may bear any name; a form's own fields shall not meet it
_LOCAL = "%Y-%m-%dT%H:%M:%S"
_INPUT_TYPE = {Kind.INTEGER: "number", Kind.NUMBER: "number", Kind.DATE: "date", Kind.TIME: "time"}
# What a browser's own field would take no name in braces for.
_ONE_VALUE = frozenset({Kind.INTEGER, Kind.NUMBER, Kind.DATE, Kind.TIME, Kind.DATETIME})
_UNSET = object()


class ParamsForm(forms.Form):
    """The params of one job class."""

    takes_names = False  # whether a text such as {logical_date} may stand in the place of any value

    def __init__(
        self, spec: JobSpec, *args: Any, given: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.spec = spec
        self.schema_params = params_of(spec.params.json_schema())
        own_fields = self.fields
        self.fields = {
            f"{PREFIX}{param.name}": self._field(param, (given or {}).get(param.name, _UNSET))
            for param in self.schema_params
        }
        self.fields |= own_fields

    def _field(self, param: Param, given: Any) -> forms.Field:
        is_secret = param.name in self.spec.params.redact
        # Which value a job had before is nobody's business where it is redacted.
        if given is _UNSET or is_secret or given == REDACTED:
            given = param.default
        field = _field_for(param, is_secret=is_secret, takes_names=self.takes_names)
        field.required = False  # the job class says what is required, in its own words
        field.label = param.name
        field.help_text = param.help()
        field.initial = _shown(param, given, takes_names=self.takes_names)
        field.widget.attrs["class"] = "vTextField" if not param.choices else ""
        if param.is_required:
            field.widget.attrs["data-required"] = "true"
        return field

    @property
    def params_shown(self) -> list[tuple[forms.BoundField, Any]]:
        """The params' fields, each with whether it must be filled in."""
        bound = [self[f"{PREFIX}{param.name}"] for param in self.schema_params]
        return [(field, field.field.widget.attrs.get("data-required")) for field in bound]

    def clean(self) -> dict[str, Any]:
        """Put the params' texts together to `params`, as the class's own check wants them."""
        cleaned: dict[str, Any] = super().clean() or {}
        params = {}
        for param in self.schema_params:
            name = f"{PREFIX}{param.name}"
            try:
                value = _parsed(param, cleaned.get(name, ""))
            except (ValueError, RecursionError) as error:
                self.add_error(name, f"This is not JSON: {error}")
                continue
            if value is not _UNSET:
                params[param.name] = value
        cleaned["params"] = params
        return cleaned

    def parsed_initial(self) -> dict[str, Any]:
        """Return the params as they would be if nobody touched the form."""
        params = {}
        for param in self.schema_params:
            shown = self.fields[f"{PREFIX}{param.name}"].initial
            value = _parsed(param, shown if isinstance(shown, bool) else str(shown))
            if value is not _UNSET:
                params[param.name] = value
        return params

    def add_faults(self, faults: list[Fault]) -> None:
        """Show what the job class said about its params, each at its field."""
        for fault in faults:
            first, _, rest = fault["param"].partition(".")
            name = f"{PREFIX}{first.partition('[')[0]}"
            if name in self.fields:
                self.add_error(name, f"{rest}: {fault['message']}" if rest else fault["message"])
            else:
                self.add_error(None, f"{fault['param']}: {fault['message']}")


def _field_for(param: Param, *, is_secret: bool, takes_names: bool) -> forms.Field:
    if param.choices and not is_secret:
        return _choice(param)
    if takes_names and not is_secret and param.kind in _ONE_VALUE:
        return forms.CharField(strip=False)
    return _text(param, is_secret)


def _choice(param: Param) -> forms.Field:
    choices = [(json.dumps(value), _word(value)) for value in param.choices]
    if param.is_nullable or (param.is_required and not param.has_default):
        choices.insert(0, ("", "---------"))
    return forms.ChoiceField(choices=choices)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else {True: "yes", False: "no"}.get(value, str(value))


def _text(param: Param, is_secret: bool) -> forms.Field:  # noqa: FBT001 - a private helper
    if is_secret:
        return forms.CharField(
            strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
        )
    if param.kind == Kind.BOOLEAN:
        return forms.BooleanField()
    if param.kind == Kind.DATETIME:
        attrs = {"type": "datetime-local", "step": "1"}
        return forms.CharField(widget=forms.DateTimeInput(attrs=attrs))
    if param.kind in {Kind.LINES, Kind.JSON}:
        rows = 4 if param.kind == Kind.LINES else 6
        attrs = {"rows": str(rows), "cols": "60", "spellcheck": "false"}
        return forms.CharField(strip=False, widget=forms.Textarea(attrs=attrs))
    attrs = {"type": _INPUT_TYPE.get(param.kind, "text")} | param.bounds()
    return forms.CharField(strip=False, widget=forms.TextInput(attrs=attrs))


def _shown(param: Param, value: Any, *, takes_names: bool) -> Any:
    """Return `value`, JSON, as the field shows it at first."""
    if value is None:
        return ""
    if takes_names and param.kind in _ONE_VALUE and not param.choices:
        return str(value)
    if param.choices:
        return json.dumps(value)
    return _SHOW.get(param.kind, _as_it_is)(value)


def _as_it_is(value: Any) -> Any:
    return value


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _lines(value: list[Any]) -> str:
    items = [str(item) for item in value]
    lines = "\n".join(items)
    # An item with a line's end or spaces around it would come back as something else.
    is_lossless = not _is_json(lines) and _items(lines) == items
    return lines if is_lossless else _pretty(value)


def _local(value: Any) -> str:
    moment = parse_datetime(str(value))
    if moment is None:
        return ""
    return (timezone.localtime(moment) if timezone.is_aware(moment) else moment).strftime(_LOCAL)


_SHOW: Mapping[Kind, Callable[[Any], Any]] = {
    Kind.BOOLEAN: bool,
    Kind.LINES: _lines,
    Kind.JSON: _pretty,
    Kind.DATETIME: _local,
}


def _parsed(param: Param, text: Any) -> Any:
    """Return what a field's text means; `_UNSET` leaves the param to its default.

    Raises:
        ValueError: It should be JSON and isn't.
    """
    if isinstance(text, bool):
        return text  # a tick box
    if not text.strip():
        return _empty(param)
    if param.choices:
        return _json_or_text(text)
    parse: Callable[[str], Any] = _PARSE.get(param.kind, _as_it_is)
    return parse(text)


def _is_json(text: str) -> bool:
    return text.lstrip().startswith("[")


def _items(text: str) -> Any:
    if _is_json(text):
        return json.loads(text)
    return [line.strip() for line in text.splitlines() if line.strip()]


def _json_or_text(text: str) -> Any:
    # A redacted choice is typed, not picked: then it is the word itself.
    try:
        return json.loads(text)
    except ValueError:
        return text


def _aware(text: str) -> str:
    """Return a moment of the browser's picker, which has no zone, in the site's time zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return (timezone.make_aware(moment) if timezone.is_naive(moment) else moment).isoformat()


_PARSE: Mapping[Kind, Callable[[str], Any]] = {
    Kind.LINES: _items,
    Kind.JSON: json.loads,
    Kind.DATETIME: _aware,
}


def _empty(param: Param) -> Any:
    if param.is_nullable:
        return None
    if param.kind == Kind.TEXT and param.has_default and not param.choices:
        return ""  # somebody cleared it
    if param.kind == Kind.LINES and param.has_default:
        return []
    return _UNSET
