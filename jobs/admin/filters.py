"""The job list's filters: choices from what is declared, never from a scan of the table."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from jobs import conf, registry
from jobs.admin import job_list
from jobs.models import JobStatus, Schedule

Choices = list[tuple[str, str]]
TEMPLATE = "admin/jobs/filter.html"


def _same(names: Any) -> Choices:
    return [(name, name) for name in names]


class JobClassFilter(admin.SimpleListFilter):
    """By job class."""

    template = TEMPLATE
    title = "job class"
    parameter_name = "class"

    def lookups(self, *_: Any) -> Choices:
        """The registered names."""
        return _same(spec.name for spec in registry.specs())

    def queryset(self, _: HttpRequest, queryset: QuerySet[JobStatus]) -> QuerySet[JobStatus]:
        """The jobs of that class."""
        return queryset.filter(job_class=self.value()) if self.value() else queryset


class QueueFilter(admin.SimpleListFilter):
    """By queue."""

    template = TEMPLATE
    title = "queue"
    parameter_name = "queue"

    def lookups(self, *_: Any) -> Choices:
        """The queues of the settings."""
        return _same(conf.current().queues)

    def queryset(self, _: HttpRequest, queryset: QuerySet[JobStatus]) -> QuerySet[JobStatus]:
        """The jobs of that queue."""
        return queryset.filter(queue=self.value()) if self.value() else queryset


class ScheduleFilter(admin.SimpleListFilter):
    """By the schedule that made them."""

    template = TEMPLATE
    title = "schedule"
    parameter_name = "schedule"

    def lookups(self, *_: Any) -> Choices:
        """The schedules that stand."""
        return _same(Schedule.objects.order_by("name").values_list("name", flat=True)[:100])

    def queryset(self, _: HttpRequest, queryset: QuerySet[JobStatus]) -> QuerySet[JobStatus]:
        """The jobs of that schedule."""
        return queryset.filter(schedule=self.value()) if self.value() else queryset


class TagFilter(admin.SimpleListFilter):
    """By a tag that a job class declares; any other tag can be searched as "tag:<its text>"."""

    template = TEMPLATE
    title = "tag"
    parameter_name = "tag"

    def lookups(self, request: HttpRequest, *_: Any) -> Choices:
        """The tags of the registered classes, and the one that is asked for."""
        declared = {tag for spec in registry.specs() for tag in spec.tags}
        asked = (
            {request.GET[self.parameter_name]} if request.GET.get(self.parameter_name) else set()
        )
        return _same(sorted(declared | asked))

    def queryset(self, _: HttpRequest, queryset: QuerySet[JobStatus]) -> QuerySet[JobStatus]:
        """The jobs that bear that tag."""
        return queryset.filter(tags__contains=[self.value()]) if self.value() else queryset


class CreatedFilter(admin.DateFieldListFilter):
    """By the day it was made."""

    template = TEMPLATE


class AfterFilter(admin.SimpleListFilter):
    """Further down than a place: where the list last stopped looking. The list itself reads it."""

    title = "place"
    parameter_name = job_list.AFTER

    def lookups(self, *_: Any) -> Choices:
        """Nothing to choose: the list's own link leads there."""
        return []

    def queryset(self, _: HttpRequest, queryset: QuerySet[JobStatus]) -> QuerySet[JobStatus]:
        """All of them."""
        return queryset
