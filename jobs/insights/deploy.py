"""What of the living rows would not work with the code and settings at hand: to gate a deploy."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count

from jobs import conf, registry
from jobs.broker import client, memory
from jobs.models import JobStatus, Schedule, ScheduleRun
from jobs.schedules import declaration, fitting


def faults() -> Iterator[str]:
    """Yield a sentence for each fault.

    A Redis that is away or may throw keys away; unapplied migrations; living jobs whose class or
    queue is unknown here; schedules of the admin whose jobs this code can't make; schedules whose
    last tick made no job.
    """
    yield from _redis()
    unapplied = _unapplied_migrations()
    if unapplied:
        yield f"{unapplied} migration(s) are not applied: manage.py migrate"
        return  # the tables may not be there
    yield from _unknown_classes()
    yield from _unknown_queues()
    yield from _unfit_schedules()
    yield from _refused_ticks()


def _redis() -> Iterator[str]:
    try:
        fault = memory.fault(client.for_work())
    except client.Unreachable as error:
        yield f"Redis is unreachable: jobs can be dispatched, but none starts ({error})."
        return
    if fault:
        yield fault


def _unapplied_migrations() -> int:
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _unknown_classes() -> Iterator[str]:
    known = [spec.name for spec in registry.specs()]
    living = JobStatus.objects.living().exclude(job_class__in=known)
    for row in living.values("job_class").annotate(number=Count("id")).order_by("job_class"):
        yield (
            f"{row['number']} living job(s) are of class {row['job_class']}, which this code "
            "doesn't have: their attempts would fail. Deploy the class, or cancel them."
        )


def _unknown_queues() -> Iterator[str]:
    living = JobStatus.objects.living().exclude(queue__in=conf.current().queues)
    for row in living.values("queue").annotate(number=Count("id")).order_by("queue"):
        yield (
            f"{row['number']} living job(s) are in queue {row['queue']}, which is not in "
            "RQ_QUEUES: no worker may serve it."
        )


def _unfit_schedules() -> Iterator[str]:
    # Those of the settings are a system check's.
    for row in Schedule.objects.filter(source=Schedule.Source.ADMIN, enabled=True).order_by("name"):
        for flaw in fitting.examined(row.name, declaration.entry_of(row))[1]:
            yield f"Schedule {row.name}, made in the admin: {flaw.sentence} ({flaw.check_id})"


def _refused_ticks() -> Iterator[str]:
    for name in (
        Schedule.objects.filter(enabled=True).order_by("name").values_list("name", flat=True)
    ):
        last = ScheduleRun.objects.filter(schedule_name=name).order_by("-logical_time").first()
        if last is not None and last.outcome == ScheduleRun.Outcome.REFUSED:
            yield f"The last tick of schedule {name} made no job: {last.reason.splitlines()[-1]}"
