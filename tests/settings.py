"""The site's settings, with the tests' own job classes."""

from __future__ import annotations

import json
import os
from datetime import timedelta

os.environ.setdefault("ENVIRONMENT", "development")

from jobs.conf import Conf
from jobsite.settings import *  # noqa: F403
from jobsite.settings import INSTALLED_APPS, JOBS
from tests import host_clock

host_clock.shift()

INSTALLED_APPS = [*INSTALLED_APPS, "tests"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
JOBS = JOBS | {
    "KILL_AFTER": timedelta(seconds=1),
    "HEARTBEAT": timedelta(seconds=1),
    "LEASE": timedelta(seconds=10),
    "LEADER_LEASE": timedelta(seconds=3),
    **{
        # A worker process of one test may differ: tests/workers.py.
        key.upper(): timedelta(seconds=value)
        if isinstance(getattr(Conf(), key), timedelta)
        else value
        for key, value in json.loads(os.environ.get("TEST_JOBS_SECONDS", "{}")).items()
    },
}
WHITENOISE_AUTOREFRESH = True  # nobody has collected the static files
