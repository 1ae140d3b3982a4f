"""What every process of a chaos run works under: short leases, small waits, two schedules."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from tests.chaos.plan import LEASE_SECONDS
from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, JOBS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.chaos"]
CHAOS_FOLDER = Path(os.environ.get("CHAOS_FOLDER", "."))
JOBS = JOBS | {
    "LEASE": timedelta(seconds=LEASE_SECONDS),
    "HEARTBEAT": timedelta(seconds=1),
    "GRACE": timedelta(seconds=1),
    "KILL_AFTER": timedelta(seconds=1),
    "LOST_AFTER": timedelta(seconds=3),
    "BACKOFF_BASE": timedelta(seconds=0.2),
    "BACKOFF_CAP": timedelta(seconds=2),
    "RUNNER_MAX_JOBS": 200,
    "ASYNC_BLOCK_LIMIT": timedelta(seconds=2),
    "ASYNC_SLOTS": 5,
}
JOB_SCHEDULES = {
    "each-two-seconds": {
        "job": "Ticked",
        "every": timedelta(seconds=2),
        "queue": "high",
        "overlap": "allow",
    },
    "each-five-seconds": {
        "job": "Slow",
        "params": {"seconds": 0.4},
        "every": timedelta(seconds=5),
        "queue": "low",
        "overlap": "allow",
    },
}
BACKFILLED = "each-five-seconds"
