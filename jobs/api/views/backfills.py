"""/api/schedules/<name>/backfills/: make the runs of past moments, stop that, go on."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api import fields, problems
from jobs.api.permissions import MayChangeSchedules, MayViewSchedules
from jobs.api.responses import problems as problem_responses
from jobs.api.schedule_serializers import (
    BackfillInDetail,
    BackfillInList,
    BackfillPage,
    BackfillPlan,
    BackfillRequest,
)
from jobs.api.views.base import View
from jobs.api.views.schedules import REFUSED, found, refuse_others_jobs
from jobs.insights import backfills
from jobs.insights.backfills import Progress
from jobs.models import Backfill, Schedule, clock
from jobs.schedules import backfill
from jobs.schedules.backfill import MAX_ACTIVE, Only, Wanted
from jobs.schedules.moments import days

NEWEST = 50
_MAX_WHEN = 100  # characters of a day or a moment
_CHECKS = {
    "from": fields.text(_MAX_WHEN),
    "to": fields.text(_MAX_WHEN),
    "newest_first": fields.flag,
    "max_active": fields.number(1, MAX_ACTIVE),
    "only": fields.one_of(*Only.values),
    "dry_run": fields.flag,
}


class Backfills(View):
    """Browse a schedule's backfills; start one."""

    def get_permissions(self) -> list[Any]:
        """Return who may: viewers read, changers start."""
        needed = MayChangeSchedules if self.request.method == "POST" else MayViewSchedules
        return [IsAuthenticated(), needed()]

    @extend_schema(
        operation_id="list_backfills",
        summary=f"The newest {NEWEST} backfills of a schedule",
        tags=["schedules"],
        responses={200: BackfillPage, **problem_responses(problems.NOT_FOUND, *REFUSED)},
    )
    def get(self, request: Request, name: str) -> Response:  # noqa: ARG002
        """Return the newest backfills."""
        rows = backfills.newest(schedule_name=found(name).name, limit=NEWEST)
        return Response({"results": BackfillInList(rows, many=True).data})

    @extend_schema(
        operation_id="start_backfill",
        summary="Make the runs of past moments, a few at a time; or say what would be made",
        tags=["schedules"],
        request={"application/json": BackfillRequest},
        responses={
            200: BackfillPlan,
            201: BackfillInList,
            **problem_responses(
                problems.INVALID_REQUEST, problems.INVALID_BACKFILL, problems.FORBIDDEN_JOB,
                problems.NOT_FOUND, problems.WRONG_BACKFILL_STATUS, *REFUSED,
            ),
        },
    )  # fmt: skip
    def post(self, request: Request, name: str) -> Response:
        """Start a backfill, or plan one."""
        body = fields.read(request, _CHECKS, required=("from", "to"))
        schedule = found(name)
        refuse_others_jobs(request, schedule)
        wanted = _wanted(schedule, body)
        if body.get("dry_run"):
            return Response(BackfillPlan(backfill.plan(wanted)).data)
        row = backfill.start(wanted, by=request.user.get_username())
        place = {"name": schedule.name, "backfill_id": row.pk}
        location = reverse("jobs_api:backfill", kwargs=place)
        return Response(BackfillInList(row).data, status=201, headers={"Location": location})


class OneBackfill(View):
    """See how far a backfill is."""

    permission_classes = [IsAuthenticated, MayViewSchedules]

    @extend_schema(
        operation_id="get_backfill",
        summary="One backfill with the counts of its runs",
        tags=["schedules"],
        responses={200: BackfillInDetail, **problem_responses(problems.NOT_FOUND, *REFUSED)},
    )
    def get(self, request: Request, name: str, backfill_id: int) -> Response:  # noqa: ARG002
        """Return the backfill."""
        return Response(_detail(_found(name, backfill_id)))


class StopBackfill(View):
    """Have a backfill make no further runs."""

    permission_classes = [IsAuthenticated, MayChangeSchedules]

    @extend_schema(
        operation_id="stop_backfill",
        summary="Have a backfill make no further runs; what it made goes on",
        tags=["schedules"],
        request=None,
        responses={
            200: BackfillInDetail,
            **problem_responses(problems.NOT_FOUND, problems.WRONG_BACKFILL_STATUS, *REFUSED),
        },
    )
    def post(self, request: Request, name: str, backfill_id: int) -> Response:
        """Stop the backfill."""
        fields.read(request, {})
        _found(name, backfill_id)
        backfill.stop(backfill_id, by=request.user.get_username())
        return Response(_detail(_found(name, backfill_id)))


class ContinueBackfill(View):
    """Have a stopped backfill go on."""

    permission_classes = [IsAuthenticated, MayChangeSchedules]

    @extend_schema(
        operation_id="continue_backfill",
        summary="Have a stopped backfill go on where it stopped",
        tags=["schedules"],
        request=None,
        responses={
            200: BackfillInDetail,
            **problem_responses(
                problems.FORBIDDEN_JOB, problems.NOT_FOUND, problems.WRONG_BACKFILL_STATUS,
                *REFUSED,
            ),
        },
    )  # fmt: skip
    def post(self, request: Request, name: str, backfill_id: int) -> Response:
        """Continue the backfill."""
        fields.read(request, {})
        refuse_others_jobs(request, found(name))
        _found(name, backfill_id)
        backfill.resume(backfill_id, by=request.user.get_username())
        return Response(_detail(_found(name, backfill_id)))


def _wanted(schedule: Schedule, body: dict[str, Any]) -> Wanted:
    from_at, to_at = days.stretch(
        body["from"], body["to"], timezone=schedule.timezone, now=clock.read()
    )
    return Wanted(
        schedule_name=schedule.name,
        from_at=from_at,
        to_at=to_at,
        newest_first=body.get("newest_first", False),
        max_active=body.get("max_active", 2),
        only=Only(body.get("only", Only.MISSING)),
    )


def _found(name: str, backfill_id: int) -> Progress:
    progress = backfills.progress(backfill_id)
    if progress is None or progress.backfill.schedule_name != name:
        raise Http404
    return progress


def _detail(progress: Progress) -> dict[str, Any]:
    row: Backfill = progress.backfill
    return {
        **BackfillInList(row).data,
        "completed": progress.completed,
        "failed": progress.failed,
        "living": progress.living,
        "refused": progress.refused,
        "is_seen_to": progress.is_seen_to,
    }
