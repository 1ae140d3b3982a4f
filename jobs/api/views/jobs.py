"""/api/jobs/: browse jobs, see one whole, retry it, cancel it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api import filters, json_body, pagination, problems
from jobs.api.permissions import MayChange, MayView
from jobs.api.problems import Refusal
from jobs.api.responses import problems as problem_responses
from jobs.api.serializers import MAX_REASON, CancelRequest, Job, JobInDetail, JobInList, JobPage
from jobs.api.views.base import View
from jobs.insights import search
from jobs.lifecycle import control
from jobs.lifecycle.control import Moved
from jobs.models import JobStatus
from jobs.statuses import Status

_FILTERS = [
    OpenApiParameter(
        "status", str, enum=list(Status), many=True, description="Any of these; or a comma list."
    ),
    OpenApiParameter("job", str, description="Job class."),
    OpenApiParameter("queue", str),
    OpenApiParameter("tag", str),
    OpenApiParameter(
        "created_after", OpenApiTypes.DATETIME, description="Made at or after this moment."
    ),
    OpenApiParameter(
        "created_before", OpenApiTypes.DATETIME, description="Made before this moment."
    ),
    OpenApiParameter("page_size", int, description="1 to 200; default 50."),
    OpenApiParameter("cursor", str, description="From `next`."),
]
_REFUSED = (problems.NOT_AUTHENTICATED, problems.FORBIDDEN)


class Jobs(View):
    """Browse jobs."""

    permission_classes = [IsAuthenticated, MayView]

    @extend_schema(
        operation_id="list_jobs",
        summary="Jobs, newest first, by filter and page",
        tags=["jobs"],
        parameters=_FILTERS,
        responses={200: JobPage, **problem_responses(problems.INVALID_QUERY, *_REFUSED)},
    )
    def get(self, request: Request) -> Response:
        """Return a page of jobs."""
        query = filters.read(request.query_params)
        page = search.page(query.where, after=query.after, size=query.size)
        following = pagination.next_address(request, page.next)
        return Response({"next": following, "results": JobInList(page.jobs, many=True).data})


class OneJob(View):
    """See one job whole."""

    permission_classes = [IsAuthenticated, MayView]

    @extend_schema(
        operation_id="get_job",
        summary="One job with its params and attempts",
        tags=["jobs"],
        responses={200: JobInDetail, **problem_responses(problems.NOT_FOUND, *_REFUSED)},
    )
    def get(self, request: Request, job_id: UUID) -> Response:  # noqa: ARG002
        """Return the job."""
        job = search.job_with_names(job_id)
        if job is None:
            raise Http404
        return Response(JobInDetail(job).data)


class Retry(View):
    """Give an ended job another attempt."""

    permission_classes = [IsAuthenticated, MayChange]

    @extend_schema(
        operation_id="retry_job",
        summary="Retry a failed or cancelled job, or run a completed one again",
        tags=["jobs"],
        request=None,
        responses={
            200: Job,
            **problem_responses(problems.NOT_FOUND, problems.WRONG_STATUS, *_REFUSED),
        },
    )
    def post(self, request: Request, job_id: UUID) -> Response:
        """Retry the job."""
        _read_reason(request, keys=())
        moved = control.retry([job_id], by=request.user.get_username())
        return _answer(job_id, moved, "Only a job that has ended can be retried.")


class CancelJob(View):
    """Stop a job on purpose."""

    permission_classes = [IsAuthenticated, MayChange]

    @extend_schema(
        operation_id="cancel_job",
        summary="Cancel a job; a started one is asked to stop (202)",
        tags=["jobs"],
        request={"application/json": CancelRequest},
        responses={
            200: Job,
            202: Job,
            **problem_responses(
                problems.INVALID_REQUEST, problems.NOT_FOUND, problems.WRONG_STATUS, *_REFUSED
            ),
        },
    )
    def post(self, request: Request, job_id: UUID) -> Response:
        """Cancel the job."""
        reason = _read_reason(request, keys=("reason",))
        moved = control.cancel([job_id], by=request.user.get_username(), reason=reason)
        return _answer(job_id, moved, "It has ended, or was asked to stop before.")


def _read_reason(request: Request, *, keys: tuple[str, ...]) -> str:
    body: Any = json_body.read(request, may_be_empty=True)
    if not isinstance(body, dict) or body.keys() - set(keys):
        allowed = f"an object with {', '.join(keys)}" if keys else "empty, or an empty object"
        raise Refusal(problems.INVALID_REQUEST, f"The body must be {allowed}.")
    reason = body.get("reason", "")
    if not isinstance(reason, str) or len(reason) > MAX_REASON:
        raise Refusal(
            problems.INVALID_REQUEST,
            f"reason must be a text of up to {MAX_REASON:,} characters.",
            errors=[{"pointer": "#/reason", "detail": "This must be a text."}],
        )
    return reason


def _answer(job_id: UUID, moved: Moved, why_not: str) -> Response:
    job: JobStatus | None = search.job(job_id)
    if job is None:
        raise Http404
    if moved.refused:
        raise Refusal(
            problems.WRONG_STATUS, f"The job is {job.status}. {why_not}", job_status=job.status
        )
    return Response(Job(job).data, status=202 if moved.asked else 200)
