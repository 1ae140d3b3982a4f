"""REST addresses; each answers with and without its last slash: a POST can't be redirected."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, path

from jobs.api.views import backfills, probes, schedule_verbs, schedules
from jobs.api.views.create_jobs import CreateJobs
from jobs.api.views.job_classes import JobClasses
from jobs.api.views.job_status import JobStatusView
from jobs.api.views.jobs import CancelJob, Jobs, OneJob, Retry
from jobs.api.views.rejected_rows import RejectedRows
from jobs.api.views.schema import Docs, Schema

app_name = "jobs_api"

_BACKFILL = "api/schedules/<slug:name>/backfills/<int:backfill_id>"


def _both(route: str, view: type[Any], name: str) -> Iterator[URLPattern]:
    """Yield both forms of an address; the one given is the one that is written out."""
    other = route.removesuffix("/") if route.endswith("/") else f"{route}/"
    yield path(other, view.as_view(schema=None))  # one form in the schema is enough
    yield path(route, view.as_view(), name=name)


urlpatterns: list[URLPattern] = [
    *_both("create-jobs/", CreateJobs, "create-jobs"),
    *_both("job-status/<uuid:job_id>", JobStatusView, "job-status"),
    *_both("api/jobs/", Jobs, "jobs"),
    *_both("api/jobs/<uuid:job_id>/", OneJob, "job"),
    *_both("api/jobs/<uuid:job_id>/retry/", Retry, "retry"),
    *_both("api/jobs/<uuid:job_id>/cancel/", CancelJob, "cancel"),
    *_both("api/jobs/<uuid:job_id>/rejected-rows.csv", RejectedRows, "rejected-rows"),
    *_both("api/job-classes/", JobClasses, "job-classes"),
    *_both("api/schedules/", schedules.Schedules, "schedules"),
    *_both("api/schedules/<slug:name>/", schedules.OneSchedule, "schedule"),
    *_both("api/schedules/<slug:name>/runs/", schedules.Runs, "runs"),
    *_both("api/schedules/<slug:name>/pause/", schedule_verbs.PauseSchedule, "pause-schedule"),
    *_both("api/schedules/<slug:name>/resume/", schedule_verbs.ResumeSchedule, "resume-schedule"),
    *_both("api/schedules/<slug:name>/run/", schedule_verbs.RunSchedule, "run-schedule"),
    *_both("api/schedules/<slug:name>/backfills/", backfills.Backfills, "backfills"),
    *_both(f"{_BACKFILL}/", backfills.OneBackfill, "backfill"),
    *_both(f"{_BACKFILL}/stop/", backfills.StopBackfill, "stop-backfill"),
    *_both(f"{_BACKFILL}/continue/", backfills.ContinueBackfill, "continue-backfill"),
    *_both("schema/", Schema, "schema"),
    *_both("docs", Docs, "docs"),
    *_both("live", probes.Live, "live"),
    *_both("ready", probes.Ready, "ready"),
]
