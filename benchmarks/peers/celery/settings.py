"""Celery with Redis and django-celery-results, as their guides set them up."""

from __future__ import annotations

import os
from urllib.parse import parse_qs, urlsplit

from benchmarks.peers.settings import *  # noqa: F403
from benchmarks.peers.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "django_celery_results"]

_redis = urlsplit(os.environ["REDIS_URL"])
_number = parse_qs(_redis.query).get("db", ["0"])[0]
CELERY_BROKER_URL = (
    f"redis+socket://{_redis.path}?virtual_host={_number}"
    if _redis.scheme == "unix"
    else os.environ["REDIS_URL"]
)
CELERY_RESULT_BACKEND = "django-db"
CELERY_TASK_TRACK_STARTED = os.environ.get("BENCH_TRACKED") == "1"
# The guide on optimizing asks for a large number where tasks are short.
CELERY_WORKER_PREFETCH_MULTIPLIER = 64
