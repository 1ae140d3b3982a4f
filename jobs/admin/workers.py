"""Workers: who is alive, and what each runner does."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs import conf
from jobs.admin import render
from jobs.admin.filters import TEMPLATE
from jobs.admin.read_only import ReadOnlyAdmin
from jobs.admin.runners import doing, listed
from jobs.models import JobWorker, clock


class LifeFilter(admin.SimpleListFilter):
    """Running ones, or those that have ended."""

    template = TEMPLATE
    title = "life"
    parameter_name = "life"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        """Running or ended."""
        return [("running", "running"), ("ended", "ended")]

    def queryset(
        self,
        request: HttpRequest,  # noqa: ARG002
        queryset: QuerySet[JobWorker],
    ) -> QuerySet[JobWorker]:
        """The workers of that kind."""
        match self.value():
            case "running":
                return queryset.filter(stopped_at=None, dead_at=None)
            case "ended":
                return queryset.exclude(stopped_at=None, dead_at=None)
        return queryset


@admin.register(JobWorker)
class WorkerAdmin(ReadOnlyAdmin):
    """One row for each start of a worker."""

    list_display = (
        "name",
        "life",
        "heartbeat",
        "queue_names",
        "runners_now",
        "place",
        "started_at",
    )
    list_filter = (LifeFilter,)
    search_fields = ("name", "host")
    ordering = ("-started_at",)
    fields = (
        "name", "life", "heartbeat", "place", "queue_names", "concurrency", "release",
        "runners_now", "started", "stopped", "died", "id",
    )  # fmt: skip
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[JobWorker]:
        """Workers, each with the database's time."""
        workers: QuerySet[JobWorker] = super().get_queryset(request)
        return workers.annotate(db_now=RawSQL(clock.WALL, ()))

    @admin.display(description="life")
    def life(self, worker: Any) -> SafeString:
        """Whether it lives, as far as its heartbeat tells."""
        return life_badge(worker, worker.db_now)

    @admin.display(description="heartbeat")
    def heartbeat(self, worker: Any) -> SafeString:
        """How old its last heartbeat is."""
        return render.moment_ago(worker.heartbeat_at, worker.db_now)

    @admin.display(description="queues")
    def queue_names(self, worker: JobWorker) -> str:
        """Its queues, in their order."""
        return ", ".join(worker.queues)

    @admin.display(description="where")
    def place(self, worker: JobWorker) -> str:
        """Host and process."""
        return f"{worker.host}, pid {worker.pid}"

    @admin.display(description="started")
    def started(self, worker: JobWorker) -> SafeString:
        """When it registered."""
        return render.moment(worker.started_at)

    @admin.display(description="stopped")
    def stopped(self, worker: JobWorker) -> SafeString:
        """When it ended in order."""
        return render.moment(worker.stopped_at)

    @admin.display(description="declared dead")
    def died(self, worker: JobWorker) -> SafeString:
        """When the leader gave it up."""
        return render.moment(worker.dead_at)

    @admin.display(description="runners")
    def runners_now(self, worker: Any) -> SafeString:
        """What each runner does."""
        if worker.stopped_at or worker.dead_at:
            return render.DASH
        if _is_silent(worker, worker.db_now):
            # What it said with its last heartbeat is no longer so, or never was.
            return format_html('<span class="quiet">{}</span>', "not known")
        runners = worker.runners if isinstance(worker.runners, list) else []
        told = [runner for runner in runners if isinstance(runner, dict)]
        if not told:
            return format_html('<span class="quiet">{}</span>', "idle")
        return listed(doing(runner, worker.db_now) for runner in told)


def life_badge(worker: JobWorker, now: datetime) -> SafeString:
    """Return whether a worker lives: living, silent (longer than its lease), stopped or dead."""
    if worker.dead_at:
        word = "dead"
    elif worker.stopped_at:
        word = "stopped"
    elif _is_silent(worker, now):
        word = "silent"
    else:
        word = "living"
    return format_html('<span class="job-badge job-badge-{}">{}</span>', word, word)


def _is_silent(worker: JobWorker, now: datetime) -> bool:
    return now - worker.heartbeat_at > conf.current().lease
