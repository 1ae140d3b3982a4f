"""/api/schedules/: see schedules and their runs, make and change them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import Http404
from django.urls import reverse
from django.utils.http import parse_etags
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import permissions
from jobs.api import creation, json_body, pagination, problems, schedule_filters
from jobs.api.permissions import MayChangeSchedules, MayViewSchedules
from jobs.api.problems import Refusal
from jobs.api.responses import problems as problem_responses
from jobs.api.schedule_serializers import (
    RunOfSchedule,
    RunPage,
    ScheduleInDetail,
    ScheduleInList,
    SchedulePage,
)
from jobs.api.views.base import View
from jobs.errors import InvalidParams, InvalidSchedule
from jobs.insights import places
from jobs.insights.schedules import listing, runs
from jobs.insights.schedules.moments import next_moments
from jobs.models import Schedule, clock
from jobs.schedules import control, fitting
from jobs.schedules.rules import rule_of

NEXT_MOMENTS = 5
_ANOTHER = "another"  # no version of any schedule: nor is a weak tag, or what is no tag at all

_PAGE = [
    OpenApiParameter("page_size", int, description="1 to 200; default 50."),
    OpenApiParameter("cursor", str, description="From `next`."),
]
_FILTERS = [
    OpenApiParameter("paused", bool),
    OpenApiParameter("source", str, enum=Schedule.Source.values),
    *_PAGE,
]
_IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag of what was read: 412 where somebody has changed it since.",
)
REFUSED = (problems.NOT_AUTHENTICATED, problems.FORBIDDEN)
_ENTRY = {
    "type": "object",
    "description": "As an entry of JOB_SCHEDULES: job or steps, cron or every, and others.",
    "additionalProperties": True,
}
_WRITTEN = (
    problems.MALFORMED_JSON, problems.INVALID_REQUEST, problems.INVALID_SCHEDULE,
    problems.FORBIDDEN_JOB,
)  # fmt: skip


class Schedules(View):
    """Browse schedules; make one."""

    def get_permissions(self) -> list[Any]:
        """Return who may: viewers read, changers write."""
        needed = MayChangeSchedules if self.request.method == "POST" else MayViewSchedules
        return [IsAuthenticated(), needed()]

    @extend_schema(
        operation_id="list_schedules",
        summary="Schedules by name, each with its next moment and its last run",
        tags=["schedules"],
        parameters=_FILTERS,
        responses={200: SchedulePage, **problem_responses(problems.INVALID_QUERY, *REFUSED)},
    )
    def get(self, request: Request) -> Response:
        """Return a page of schedules."""
        asked = schedule_filters.schedules(request.query_params)
        page = listing.page(
            paused=asked.paused, source=asked.source, after=asked.cursor, size=asked.page_size
        )
        last_runs = runs.strips([row.name for row in page.schedules], 1)
        shown = ScheduleInList(page.schedules, many=True, context={"last_runs": last_runs})
        following = page.next_after and pagination.address_from(
            request, places.opaque(page.next_after)
        )
        return Response({"next": following, "results": shown.data})

    @extend_schema(
        operation_id="create_schedule",
        summary="Make a schedule beside those of the settings",
        tags=["schedules"],
        request={
            "application/json": {
                **_ENTRY,
                "properties": {"name": {"type": "string"}},
                "required": ["name"],
            }
        },
        responses={
            201: ScheduleInDetail,
            **problem_responses(*_WRITTEN, problems.SCHEDULE_EXISTS, *REFUSED),
        },
    )
    def post(self, request: Request) -> Response:
        """Make a schedule."""
        entry = _entry(request)
        name = entry.pop("name", None)
        _refuse_other_classes(request, name, entry)
        try:
            row = control.create(name, entry, by=request.user.get_username())
        except InvalidSchedule as error:
            raise listed(error) from error
        location = reverse("jobs_api:schedule", kwargs={"name": row.name})
        headers = {"Location": location, "ETag": _etag(row)}
        return Response(detail(row), status=201, headers=headers)


class OneSchedule(View):
    """See one schedule whole; change it, delete it."""

    http_method_names = ["get", "head", "put", "delete"]

    def get_permissions(self) -> list[Any]:
        """Return who may: viewers read, changers write."""
        reads = self.request.method in {"GET", "HEAD"}
        return [IsAuthenticated(), MayViewSchedules() if reads else MayChangeSchedules()]

    @extend_schema(
        operation_id="get_schedule",
        summary="One schedule with its params and its next five moments",
        tags=["schedules"],
        responses={200: ScheduleInDetail, **problem_responses(problems.NOT_FOUND, *REFUSED)},
    )
    def get(self, request: Request, name: str) -> Response:  # noqa: ARG002
        """Return the schedule."""
        row = found(name)
        return Response(detail(row), headers={"ETag": _etag(row)})

    @extend_schema(
        operation_id="change_schedule",
        summary="Have a schedule that was made in the admin say this, and nothing else",
        tags=["schedules"],
        request={"application/json": _ENTRY},
        parameters=[_IF_MATCH],
        responses={
            200: ScheduleInDetail,
            **problem_responses(
                *_WRITTEN, problems.SCHEDULE_IS_OF_SETTINGS, problems.SCHEDULE_CHANGED,
                problems.NOT_FOUND, *REFUSED,
            ),
        },
    )  # fmt: skip
    def put(self, request: Request, name: str) -> Response:
        """Change the schedule."""
        entry = _entry(request)
        row = found(name)
        refuse_others_jobs(request, row)
        _refuse_other_classes(request, name, entry)
        by = request.user.get_username()
        try:
            row = control.change(name, entry, by=by, seen=_seen(request, row))
        except InvalidSchedule as error:
            raise listed(error) from error
        return Response(detail(row), headers={"ETag": _etag(row)})

    @extend_schema(
        operation_id="delete_schedule",
        summary="Delete a schedule that was made in the admin; its runs and jobs stay",
        tags=["schedules"],
        request=None,
        parameters=[_IF_MATCH],
        responses={
            204: None,
            **problem_responses(
                problems.SCHEDULE_IS_OF_SETTINGS, problems.SCHEDULE_CHANGED, problems.NOT_FOUND,
                *REFUSED,
            ),
        },
    )  # fmt: skip
    def delete(self, request: Request, name: str) -> Response:
        """Delete the schedule."""
        by = request.user.get_username()
        control.delete(name, by=by, seen=_seen(request, found(name)))
        return Response(status=204)


class Runs(View):
    """Browse a schedule's runs."""

    permission_classes = [IsAuthenticated, MayViewSchedules]

    @extend_schema(
        operation_id="list_runs",
        summary="A schedule's runs, the newest moment first, by page",
        tags=["schedules"],
        parameters=_PAGE,
        responses={
            200: RunPage,
            **problem_responses(problems.INVALID_QUERY, problems.NOT_FOUND, *REFUSED),
        },
    )
    def get(self, request: Request, name: str) -> Response:
        """Return a page of runs."""
        asked = schedule_filters.runs(request.query_params)
        found(name)
        newest = runs.newest(name, before=asked.cursor, limit=asked.page_size + 1)
        kept, following = newest[: asked.page_size], None
        if len(newest) > asked.page_size:
            place = places.opaque(kept[-1].logical_time.isoformat())
            following = pagination.address_from(request, place)
        return Response({"next": following, "results": RunOfSchedule(kept, many=True).data})


def found(name: str) -> Schedule:
    """Return the schedule of this name.

    Raises:
        Http404: There is none.
    """
    row = listing.schedule(name)
    if row is None:
        raise Http404
    return row


def refuse_others_jobs(request: Request, row: Schedule) -> None:
    """Refuse who may not run each job class of a schedule.

    Raises:
        Refusal: 403, with the permissions that are needed.
    """
    if permissions.may_run_schedule(request.user, row):
        return
    names = [
        f"jobs.{permissions.run_codename(job)}"
        for job in permissions.classes_of(row)
        if not permissions.may_run(request.user, job)
    ]
    raise Refusal(
        problems.FORBIDDEN_JOB,
        f"To have {row.name} run you need {', '.join(names)}, or {permissions.ADD}.",
    )


def _etag(row: Schedule) -> str:
    """Return the tag of what the entry says; a new moment, a run or a pause gives it no other."""
    return f'"{control.version(row)}"'


def _seen(request: Request, row: Schedule) -> str:
    """Return which version of the schedule the asker has seen; nothing: any will do."""
    wanted = request.headers.get("If-Match", "*").strip()
    if wanted == "*":
        return ""
    return control.version(row) if _etag(row) in parse_etags(wanted) else _ANOTHER


def _refuse_other_classes(request: Request, name: object, entry: Mapping[str, Any]) -> None:
    declared, flaws = fitting.examined(name, entry)
    # What is wrong otherwise is said by the verb.
    if declared is not None and not flaws:
        refuse_others_jobs(request, Schedule(name=declared.name, **declared.columns()))


def _entry(request: Request) -> dict[str, Any]:
    body = json_body.read(request)
    if not isinstance(body, dict):
        raise Refusal(problems.INVALID_REQUEST, "The body must be an object.")
    return body


def listed(error: InvalidSchedule | InvalidParams) -> Refusal:
    """Return the refusal that names each fault's place in the body."""
    root: tuple[str, ...] = ("params",) if isinstance(error, InvalidParams) else ()
    errors = []
    for fault in error.faults:
        steps = () if fault["param"] == "(whole)" else tuple(fault["param"].split("."))
        errors.append({"pointer": creation.pointer((*root, *steps)), "detail": fault["message"]})
    return Refusal(problems.kind_of(error), str(error), errors=errors)


def detail(row: Schedule) -> Any:
    """Return a schedule whole, as it is answered."""
    moments = []
    if row.enabled:
        moments = next_moments(rule_of(row), clock.read(), NEXT_MOMENTS)
    context = {"last_runs": runs.strips([row.name], 1), "next_moments": moments}
    return ScheduleInDetail(row, context=context).data
