"""The job class that only a newer release has: an app of tests/schedules/newer_settings.py."""

from __future__ import annotations

from typing import Any

from jobs.base import BaseJob


class OfTheNewer(BaseJob):
    """Do nothing, in a release in which there is such a job."""

    def _perform(self) -> Any:
        return None
