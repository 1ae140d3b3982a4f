"""The job list's tabs: one a status, with its count."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest

from jobs.admin import job_list
from jobs.insights import stats
from jobs.statuses import Status

PARAMETER = "status__exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """One tab."""

    label: str
    count: str
    url: str
    is_selected: bool
    status: str = ""


def tabs(request: HttpRequest) -> list[Tab]:
    """Return the tabs of the list as it is filtered now; the counts are of all jobs."""
    asked = request.GET.get(PARAMETER, "")
    counts = stats.counts_by_status()
    everything = Tab(label="All", count="", url=_url(request, None), is_selected=not asked)
    return [
        everything,
        *(
            Tab(
                label=status.value.capitalize(),
                count=str(counts[status]),
                url=_url(request, status),
                is_selected=asked == status,
                status=status.value,
            )
            for status in Status
        ),
    ]


def _url(request: HttpRequest, status: Status | None) -> str:
    query = request.GET.copy()
    for name in (PARAMETER, job_list.AFTER, "p", "e"):
        query.pop(name, None)
    if status is not None:
        query[PARAMETER] = status.value
    return f"?{query.urlencode()}"
