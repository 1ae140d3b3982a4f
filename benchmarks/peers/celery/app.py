"""The Celery application and the measured jobs as tasks."""

from __future__ import annotations

import os
import time
from typing import Any

from celery import Celery

from benchmarks import work

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.peers.celery.settings")

app = Celery("bench")
app.config_from_object("django.conf:settings", namespace="CELERY")
# Else its workers close the database connection before and after each task, CONN_MAX_AGE or not.
app.conf["CELERY_DB_REUSE_MAX"] = 1_000_000


@app.task
def echo(value: Any) -> Any:
    """Do nothing."""
    return work.echo(value)


@app.task
def tell(value: int) -> Any:
    """Note when it began."""
    at_ns = time.monotonic_ns()
    return work.tell(value, at_ns)
