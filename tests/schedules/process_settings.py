"""What the scheduler processes of these tests run under."""

from __future__ import annotations

from datetime import timedelta

from tests.settings import *  # noqa: F403

JOB_SCHEDULES = {
    "each-second": {
        "job": "Echo",
        "every": timedelta(seconds=1),
        "params": {"value": "x"},
        "overlap": "allow",
    },
    "no-such-class": {"job": "Nobody", "every": timedelta(seconds=1)},
    "bad-params": {"job": "Echo", "every": timedelta(seconds=1), "params": {"valeu": "x"}},
    "truncate": {
        "job": "TruncateTable",
        "every": timedelta(seconds=2),
        "params": {"schema": "public", "table_name": "daily_stats"},
        "queue": "low",
    },
    "nightly": {
        "job": "Secretive",
        "cron": "0 2 * * *",
        "timezone": "Europe/Berlin",
        "overlap": "allow",
        "params": {"user": "ann", "password": "hunter22"},
        "queue": "low",
    },
}
