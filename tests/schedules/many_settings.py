"""What scheduler processes run under that have many schedules, all due in one second."""

from __future__ import annotations

import os
from datetime import timedelta

from tests.settings import *  # noqa: F403

EVERY = timedelta(seconds=int(os.environ.get("TEST_EVERY_SECONDS", "1")))

JOB_SCHEDULES = {
    f"often-{number:04}": {"job": "Echo", "every": EVERY, "overlap": "allow"}
    for number in range(int(os.environ.get("TEST_SCHEDULES", "1")))
}
