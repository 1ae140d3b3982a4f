"""/api/schedules/<name>/pause/, resume/, run/: what people and programs do to any schedule."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api import fields, problems
from jobs.api.permissions import MayChangeSchedules, MayViewSchedules
from jobs.api.responses import problems as problem_responses
from jobs.api.schedule_serializers import (
    PauseRequest,
    RunOfSchedule,
    RunRequest,
    ScheduleInDetail,
)
from jobs.api.views.base import View
from jobs.api.views.schedules import REFUSED, detail, found, listed, refuse_others_jobs
from jobs.errors import InvalidParams
from jobs.insights.schedules import runs
from jobs.schedules import control
from jobs.schedules.history import MAX_NOTE
from jobs.schedules.moments import spans


class PauseSchedule(View):
    """Have a schedule's moments skipped."""

    permission_classes = [IsAuthenticated, MayChangeSchedules]

    @extend_schema(
        operation_id="pause_schedule",
        summary="Skip a schedule's moments until it is resumed",
        tags=["schedules"],
        request={"application/json": PauseRequest},
        responses={
            200: ScheduleInDetail,
            **problem_responses(problems.INVALID_REQUEST, problems.NOT_FOUND, *REFUSED),
        },
    )
    def post(self, request: Request, name: str) -> Response:
        """Pause the schedule."""
        body = fields.read(request, {"note": fields.text(MAX_NOTE)})
        row = control.pause(name, by=request.user.get_username(), note=body.get("note", ""))
        return Response(detail(row))


class ResumeSchedule(View):
    """End a schedule's pause."""

    permission_classes = [IsAuthenticated, MayChangeSchedules]

    @extend_schema(
        operation_id="resume_schedule",
        summary="End a schedule's pause; what came in it stays skipped",
        tags=["schedules"],
        request=None,
        responses={
            200: ScheduleInDetail,
            **problem_responses(problems.INVALID_REQUEST, problems.NOT_FOUND, *REFUSED),
        },
    )
    def post(self, request: Request, name: str) -> Response:
        """Resume the schedule."""
        fields.read(request, {})
        return Response(detail(control.resume(name, by=request.user.get_username())))


class RunSchedule(View):
    """Run a schedule now."""

    permission_classes = [IsAuthenticated, MayViewSchedules]

    @extend_schema(
        operation_id="run_schedule",
        summary="Make a run of now, beside those of the schedule's rule",
        tags=["schedules"],
        request={"application/json": RunRequest},
        responses={
            201: RunOfSchedule,
            **problem_responses(
                problems.INVALID_REQUEST, problems.INVALID_PARAMS, problems.UNKNOWN_JOB,
                problems.UNKNOWN_QUEUE, problems.FORBIDDEN_JOB, problems.NOT_FOUND,
                problems.RUN_REFUSED, problems.PARAMS_TOO_LARGE, *REFUSED,
            ),
        },
    )  # fmt: skip
    def post(self, request: Request, name: str) -> Response:
        """Run the schedule."""
        body = fields.read(request, {"params": fields.mapping})
        refuse_others_jobs(request, found(name))
        by = request.user.get_username()
        try:
            made = control.run_now(name, by=by, params=body.get("params"))
        except InvalidParams as error:
            raise listed(error) from error
        run = runs.newest(name, before=made.logical_time + spans.MICROSECOND, limit=1)[0]
        return Response(RunOfSchedule(run).data, status=201)
