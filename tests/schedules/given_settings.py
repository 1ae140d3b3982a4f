"""What scheduler processes run under whose schedules a test gives, as JSON in the environment."""

from __future__ import annotations

import json
import os

from tests import doom
from tests.settings import *  # noqa: F403

NAME = "tests.schedules.given_settings"
VARIABLE = "TEST_JOB_SCHEDULES"

JOB_SCHEDULES = json.loads(os.environ.get(VARIABLE, "{}"))

doom.arm()
