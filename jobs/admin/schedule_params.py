"""The params of a schedule's job class in a form: names in braces, and secrets that stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.admin.params_form import PREFIX, ParamsForm
from jobs.schedules import logical
from jobs.spec import JobSpec

NAMES = ", ".join(f"{{{name}}}" for name in logical.NAMES)


class ScheduleParamsForm(ParamsForm):
    """Params in which {logical_date} and others may stand for the run's moment.

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
        self.stored = stored or {}
        for name in self._kept_secrets():
            self.fields[
                f"{PREFIX}{name}"
            ].help_text += " Left empty it stays what it is, while no other param is changed."

    def clean(self) -> dict[str, Any]:
        """Keep the secrets that were left empty."""
        cleaned = super().clean()
        params = cleaned["params"]
        left_empty = [
            name for name in self._kept_secrets() if not self.data.get(f"{PREFIX}{name}", "")
        ]
        is_changed = bool(left_empty) and self._is_changed(params, left_empty)
        for name in left_empty:
            if is_changed:
                self.add_error(f"{PREFIX}{name}", "Type it again: other params are changed.")
            else:
                params[name] = self.stored[name]
        return cleaned

    def _kept_secrets(self) -> list[str]:
        return [name for name in self.spec.params.redact if self.stored.get(name) is not None]

    def _is_changed(self, params: Mapping[str, Any], left_empty: list[str]) -> bool:
        shown = self.parsed_initial()
        names = (set(params) | set(shown)) - set(left_empty)
        return any(_same_ends(params.get(name)) != _same_ends(shown.get(name)) for name in names)


def _same_ends(value: Any) -> Any:
    """Return a text without the ends of lines that a browser sends."""
    return value.replace("\r\n", "\n") if isinstance(value, str) else value
