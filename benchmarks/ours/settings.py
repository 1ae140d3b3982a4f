"""The site's settings as shipped, with the jobs that are measured."""

from __future__ import annotations

import json
import os

os.environ.setdefault("ENVIRONMENT", "development")

from jobs.conf import KEYS
from jobsite.settings import *  # noqa: F403
from jobsite.settings import INSTALLED_APPS, JOBS

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.ours"]
# What a figure is about: batches off. A release without that setting runs one job at a time.
JOBS = JOBS | {
    key: value
    for key, value in json.loads(os.environ.get("BENCH_JOBS", "{}")).items()
    if key in KEYS
}
