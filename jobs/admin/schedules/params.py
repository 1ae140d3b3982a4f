"""The params of a schedule's job class in a form: names in braces, and secrets that stay."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from jobs.admin.param_schema import Kind
from jobs.admin.params_form import PREFIX, ParamsForm
from jobs.schedules.moments import logical
from jobs.spec import JobSpec

NAMES = ", ".join(f"{{{name}}}" for name in logical.NAMES)


class ScheduleParamsForm(ParamsForm):
    """Params in which {logical_date} and others may stand for the run's moment.

    What nobody touched stays exactly as it is stored, or left out.

    A redacted param that is left empty keeps its stored value, but only where no other param is
    changed: else somebody could send a secret that he doesn't know to a place of his choice.
    """

    takes_names = True

    def __init__(
        self,
        spec: JobSpec,
        *args: Any,
        stored: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(spec, *args, given=stored, **kwargs)
        self.stored = stored
        for name in self._kept_secrets():
            self.fields[
                f"{PREFIX}{name}"
            ].help_text += " Left empty it stays what it is, while no other param is changed."

    def clean(self) -> dict[str, Any]:
        """Keep the secrets that were left empty."""
        cleaned = super().clean()
        typed, shown = cleaned["params"], self.parsed_initial()
        stored = self.stored or {}
        left_empty = {
            name for name in self._kept_secrets() if not self.data.get(f"{PREFIX}{name}", "")
        }
        # A stored param that the class has no more is left out.
        names = {param.name for param in self.schema_params}
        touched = {
            name
            for name in names - left_empty
            if self.stored is None or _same_ends(typed.get(name)) != _same_ends(shown.get(name))
        }
        for name in left_empty if touched else ():
            self.add_error(f"{PREFIX}{name}", "Type it again: other params are changed.")
        kept = {name: stored[name] for name in stored if name in names - touched}
        new = {name: self._value(name, typed[name]) for name in typed if name in touched}
        cleaned["params"] = kept | new
        return cleaned

    def _kept_secrets(self) -> list[str]:
        stored = self.stored or {}
        return [name for name in self.spec.params.redact if stored.get(name) is not None]

    def _value(self, name: str, typed: Any) -> Any:
        """Return a number that was typed as one: a schedule keeps what JSON would say."""
        kind = next(param.kind for param in self.schema_params if param.name == name)
        if kind not in {Kind.INTEGER, Kind.NUMBER} or not isinstance(typed, str):
            return typed
        try:
            number = json.loads(typed)
        except ValueError:
            return typed
        is_whole = isinstance(number, int) and not isinstance(number, bool)
        is_share = isinstance(number, float) and math.isfinite(number)
        return number if is_whole or is_share else typed


def _same_ends(value: Any) -> Any:
    """Return a text without the ends of lines that a browser sends."""
    return value.replace("\r\n", "\n") if isinstance(value, str) else value
