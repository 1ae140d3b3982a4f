"""The form of one job: its params, its queue, its time and its tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils import timezone

from jobs import conf
from jobs.admin.params_form import ParamsForm
from jobs.spec import JobSpec


class RunForm(ParamsForm):
    """The params of one job class, the queue, the time and the tags."""

    queue = forms.ChoiceField(required=False)
    run_at = forms.DateTimeField(
        required=False,
        label="When",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}),
    )
    tags = forms.CharField(
        required=False, help_text="Labels beside the class's own, separated by commas."
    )

    def __init__(
        self, spec: JobSpec, *args: Any, given: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(spec, *args, given=given, **kwargs)
        settings = conf.current()
        own = spec.queue or settings.queue
        queue = self.fields["queue"]
        assert isinstance(queue, forms.ChoiceField)  # noqa: S101 - declared above
        queue.choices = [("", f"{own} (the class's own)"), *((q, q) for q in settings.queues)]
        zone = timezone.get_current_timezone_name()
        run_at = self.fields["run_at"]
        run_at.help_text = f"Empty: as soon as a worker is free. Time zone: {zone}."

    def clean(self) -> dict[str, Any]:
        """Take the tags apart, beside what all such forms do."""
        cleaned = super().clean()
        cleaned["tags"] = tuple(
            tag.strip() for tag in cleaned.get("tags", "").split(",") if tag.strip()
        )
        return cleaned
