"""The site's settings as shipped, with the jobs that are measured."""

from __future__ import annotations

import json
import os

os.environ.setdefault("ENVIRONMENT", "development")

from jobsite.settings import *  # noqa: F403
from jobsite.settings import INSTALLED_APPS, JOBS

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.ours"]
# What a figure is about: batches off.
JOBS = JOBS | json.loads(os.environ.get("BENCH_JOBS", "{}"))
