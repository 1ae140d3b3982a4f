"""Template tags of the admin's own pages."""

from __future__ import annotations

from typing import Any

from django import template
from django.template import Context
from django.urls import reverse

from jobs import conf, permissions
from jobs.admin import addresses, render
from jobs.insights import presence, stats
from jobs.models import clock

register = template.Library()

_FAILURES = 5
_LIST = "admin:jobs_jobstatus_changelist"


@register.inclusion_tag("admin/jobs/overview.html", takes_context=True)
def jobs_overview(context: Context) -> dict[str, Any]:
    """Show what an operator looks at first: statuses, queues, workers, the last failures."""
    request = context["request"]
    user = request.user
    shown: dict[str, Any] = {
        "may_view": permissions.may_view(user),
        "may_run": bool(permissions.runnable(user)),
        "may_see_dashboard": user.has_perm("django_rq.admin"),
    }
    if not shown["may_view"]:
        return shown
    workers = presence.living_workers()
    return shown | {
        "tiles": _tiles(),
        "queues": _queues(workers),
        "workers": len(workers),
        "runners": sum(worker.concurrency for worker in workers),
        "redis_answers": presence.redis_answers(),
        "failures": _failures(),
        "failed_list": f"{reverse(_LIST)}?status__exact=failed",
    }


def _tiles() -> list[tuple[str, str, str]]:
    address = reverse(_LIST)
    return [
        (status.value, str(count), f"{address}?status__exact={status}")
        for status, count in stats.counts_by_status().items()
    ]


def _queues(workers: list[Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": load.queue,
            "url": f"{reverse(_LIST)}?queue={load.queue}",
            "queued": load.queued,
            "started": load.started,
            "wait": render.duration(load.oldest_wait) if load.oldest_wait else render.DASH,
            "workers": sum(presence.serves(worker, load.queue) for worker in workers),
        }
        for load in stats.queue_loads(conf.current().queues)
    ]


def _failures() -> list[dict[str, Any]]:
    now = clock.read()
    return [
        {
            "url": addresses.of_job(job.id),
            "job_class": job.job_class,
            "when": render.moment_ago(job.finished_at, now),
            "error": job.error,
        }
        for job in stats.latest_failures(_FAILURES)
    ]
