"""The list of schedules with the last runs of each: one statement more, however many there are."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest

from jobs.admin.schedules.cells import Links
from jobs.insights.schedules import runs


class ScheduleList(ChangeList):
    """The schedules of one page of the list."""

    def get_results(self, request: HttpRequest) -> None:
        """Read the page that is shown, and its schedules' last runs."""
        super().get_results(request)
        schedules: list[Any] = list(self.result_list)
        strips = runs.strips([schedule.name for schedule in schedules])
        links = Links.of(request)
        for schedule in schedules:
            schedule.last_runs = strips[schedule.name]
            schedule.run_links = links
        self.result_list = schedules
