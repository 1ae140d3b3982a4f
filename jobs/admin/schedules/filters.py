"""The filters of the list of schedules."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from jobs.admin.filters import TEMPLATE, Choices
from jobs.insights.schedules import runs
from jobs.models import Schedule
from jobs.statuses import LIVING

_NEVER = "never"
_LIVING = "living"


class StateFilter(admin.SimpleListFilter):
    """By whether it makes jobs."""

    template = TEMPLATE
    title = "state"
    parameter_name = "state"

    def lookups(self, *_: Any) -> Choices:
        """The three states."""
        return [("active", "active"), ("paused", "paused"), ("off", "off")]

    def queryset(self, _: HttpRequest, queryset: QuerySet[Schedule]) -> QuerySet[Schedule]:
        """The schedules in that state."""
        match self.value():
            case "active":
                return queryset.filter(enabled=True, paused_at=None)
            case "paused":
                return queryset.exclude(paused_at=None)
            case "off":
                return queryset.filter(enabled=False)
        return queryset


class SourceFilter(admin.SimpleListFilter):
    """By where it is declared."""

    template = TEMPLATE
    title = "declared in"
    parameter_name = "source"

    def lookups(self, *_: Any) -> Choices:
        """The settings and the admin."""
        return [(source.value, source.value) for source in Schedule.Source]

    def queryset(self, _: HttpRequest, queryset: QuerySet[Schedule]) -> QuerySet[Schedule]:
        """The schedules declared there."""
        return queryset.filter(source=self.value()) if self.value() else queryset


class LastRunFilter(admin.SimpleListFilter):
    """By what became of the last run."""

    template = TEMPLATE
    title = "last run"
    parameter_name = "last"

    def lookups(self, *_: Any) -> Choices:
        """What may have become of it."""
        words = ("completed", "failed", "cancelled", _LIVING, "skipped", "refused", _NEVER)
        return [(word, word) for word in words]

    def queryset(self, _: HttpRequest, queryset: QuerySet[Schedule]) -> QuerySet[Schedule]:
        """The schedules whose newest run ended so."""
        if self.value() is None:
            return queryset
        schedules = queryset.annotate(last_status=runs.last_status())
        if self.value() == _NEVER:
            return schedules.filter(last_status=None)
        if self.value() == _LIVING:
            return schedules.filter(last_status__in=sorted(LIVING))
        return schedules.filter(last_status=self.value())
