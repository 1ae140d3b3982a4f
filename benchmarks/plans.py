"""Ours and the naive way, as they are started and read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks.subject import Plan

ROOT = Path(__file__).resolve().parent.parent
MANAGE = (sys.executable, str(ROOT / "manage.py"), "rqworker")


def ours(**changes: Any) -> Plan:
    """Return one worker with two runners, as shipped: INFO to a file, everything on."""
    given: dict[str, Any] = {
        "name": "ours",
        "python": sys.executable,
        "driver": "benchmarks.ours.driver",
        "environment": {"DJANGO_SETTINGS_MODULE": "benchmarks.ours.settings"},
        "workers": ((*MANAGE, "{queues}", "--concurrency", "2"),),
        "tables": ("job_statuses", "job_attempts"),
        # Gone, it says that Redis was flushed: then the relay asks for every queued row.
        "keeps": ("jobs:epoch",),
        "is_done": "SELECT NOT EXISTS (SELECT FROM job_statuses WHERE queue = 'default' AND status"
        " IN ('queued', 'started', 'retrying', 'scheduled', 'waiting'))",
        "ended_since": "SELECT count(*), extract(epoch FROM max(finished_at)) FROM job_statuses "
        "WHERE status = 'completed' AND queue = 'default' AND finished_at > to_timestamp(%s)",
    }
    return Plan(**(given | changes))


def naive(**changes: Any) -> Plan:
    """Return two of rq's SimpleWorker by django-rq's own command, its options the defaults."""
    given: dict[str, Any] = {
        "name": "naive",
        "python": sys.executable,
        "driver": "benchmarks.naive.driver",
        "environment": {"DJANGO_SETTINGS_MODULE": "benchmarks.naive.settings"},
        "workers": ((*MANAGE, "{queues}", "--worker-class", "rq.SimpleWorker"),) * 2,
        "tables": ("naive_rows",),
        "is_done": "SELECT NOT EXISTS (SELECT FROM naive_rows WHERE status <> 'completed')",
        "ended_since": "SELECT count(*), extract(epoch FROM max(finished_at)) FROM naive_rows "
        "WHERE finished_at > to_timestamp(%s)",
    }
    return Plan(**(given | changes))
