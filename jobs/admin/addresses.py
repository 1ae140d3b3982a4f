"""Where the pages of a job and of a schedule are: each leads to the other."""

from __future__ import annotations

from uuid import UUID

from django.contrib.admin.utils import quote
from django.urls import reverse


def of_job(job_id: UUID) -> str:
    """Return the address of a job's page."""
    return reverse("admin:jobs_jobstatus_change", args=[job_id])


def of_schedule(name: str) -> str:
    """Return the address of a schedule's page."""
    return reverse("admin:jobs_schedule_change", args=[quote(name)])
