"""System checks of settings, schedules and job classes, each with a stable id and a hint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's name

from jobs import conf, registry
from jobs.schedules import declaration, fitting
from jobs.schedules.declaration import Flaw

_PLACE = {"URL", "HOST", "PORT", "DB", "UNIX_SOCKET_PATH", "SENTINELS", "MASTER_NAME"}


@register("jobs")
def check_settings(**_: Any) -> list[CheckMessage]:
    """E001: an unknown key in JOBS. E002: the default queue isn't in RQ_QUEUES. E005: a bad value.

    E006: the queues are on several Redis servers or databases. E007: the lease is too short.
    """
    given = getattr(settings, "JOBS", {})
    found: list[CheckMessage] = [
        Error(
            f"JOBS has an unknown key: {key!r}.",
            hint=f"Known are: {', '.join(sorted(conf.KEYS))}.",
            id="jobs.E001",
        )
        for key in sorted(given.keys() - conf.KEYS)
    ]
    found += [
        Error(
            f'JOBS["{key}"] {fault}, it is {given[key]!r}.',
            hint="docs/settings.md lists every key with its default.",
            id="jobs.E005",
        )
        for key in sorted(given.keys() & conf.KEYS)
        if (fault := conf.fault(key, given[key]))
    ]
    # Durations that are none can't be compared.
    return found + _queue_faults() + ([] if found else _lease_faults())


def _lease_faults() -> list[CheckMessage]:
    current = conf.current()
    if current.lease >= 2 * current.heartbeat:
        return []
    return [
        Error(
            f'JOBS["LEASE"] ({current.lease}) is less than twice JOBS["HEARTBEAT"] '
            f"({current.heartbeat}).",
            hint="A living worker would seem dead between two heartbeats, or a dead one never.",
            id="jobs.E007",
        )
    ]


def _queue_faults() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    current = conf.current()
    places = {repr(_place(queue)) for queue in settings.RQ_QUEUES.values()}
    if len(places) > 1:
        found.append(
            Error(
                "RQ_QUEUES names more than one Redis.",
                hint="A worker takes from all its queues in one step: put them into one database.",
                id="jobs.E006",
            )
        )
    if current.queue not in current.queues:
        found.append(
            Error(
                f"The default queue {current.queue!r} is not in RQ_QUEUES.",
                hint='Add it there, or set JOBS["QUEUE"].',
                id="jobs.E002",
            )
        )
    return found


def _place(queue: Mapping[str, Any]) -> dict[str, Any]:
    # The serializer and the timeouts may differ; where the queue is may not.
    return {key: queue[key] for key in sorted(queue) if key in _PLACE}


@register("jobs")
def check_job_classes(**_: Any) -> list[CheckMessage]:
    """E003: an annotation that can't be resolved. E004: a class's queue isn't in RQ_QUEUES."""
    found: list[CheckMessage] = []
    queues = conf.current().queues
    for spec in registry.specs():
        if not spec.params.is_complete():
            found.append(
                Error(
                    f"{spec.path}: the type of a param can't be resolved.",
                    hint="Import it at the top of the module, outside `if TYPE_CHECKING`.",
                    id="jobs.E003",
                )
            )
        if spec.queue is not None and spec.queue not in queues:
            found.append(
                Error(
                    f"{spec.path}: its queue {spec.queue!r} is not in RQ_QUEUES.",
                    hint=f"Queues are: {', '.join(queues)}.",
                    id="jobs.E004",
                )
            )
    return found


@register("jobs")
def check_schedules(**_: Any) -> list[CheckMessage]:
    """E010: JOB_SCHEDULES is no dict. E011 to E017, W011 to W014: as schedules/ says.

    A schedule whose job could not be made is a warning: it must not keep the others from running.
    """
    if not isinstance(getattr(settings, "JOB_SCHEDULES", {}), Mapping):
        return [
            Error(
                "JOB_SCHEDULES is not a dict.",
                hint='{"nightly": {"job": "ImportCsv", "cron": "0 2 * * *"}}',
                id="jobs.E010",
            )
        ]
    return [
        _message(name, flaw)
        for name, entry in declaration.entries().items()
        for flaw in fitting.examined(name, entry)[1]
    ]


def _message(name: object, flaw: Flaw) -> CheckMessage:
    kind = Warning if flaw.is_misfit else Error
    return kind(flaw.in_settings(name), hint=flaw.hint, id=flaw.check_id)
