"""What a scheduler of a newer release runs under: one schedule is new, one changed, one gone."""

from __future__ import annotations

from datetime import timedelta

from tests.schedules.process_settings import *  # noqa: F403
from tests.schedules.process_settings import JOB_SCHEDULES as _OLDER

JOB_SCHEDULES = {
    "nightly": _OLDER["nightly"],
    "each-second": {
        "job": "Echo",
        "every": timedelta(seconds=1),
        "params": {"value": "newer"},
        "overlap": "allow",
    },
    "also-each-second": {
        "job": "Echo",
        "every": "1s",
        "params": {"value": "newer"},
        "overlap": "allow",
    },
}
