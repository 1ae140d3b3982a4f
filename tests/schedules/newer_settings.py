"""What a scheduler of a newer release runs under: schedules are new, changed and gone.

The job class of one is new as well.
"""

from __future__ import annotations

from datetime import timedelta

from tests.schedules.process_settings import *  # noqa: F403
from tests.schedules.process_settings import INSTALLED_APPS
from tests.schedules.process_settings import JOB_SCHEDULES as _OLDER

INSTALLED_APPS = [*INSTALLED_APPS, "tests.schedules.newer"]
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
    "of-the-newer": {
        "job": "OfTheNewer",
        "every": timedelta(seconds=1),
        "overlap": "allow",
        "catch_up": "1h",
    },
}
