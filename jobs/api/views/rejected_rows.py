"""GET /api/jobs/<id>/rejected-rows.csv: what an import has left out."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from jobs.api import permissions, problems
from jobs.api.responses import problems as problem_responses
from jobs.api.views.base import View
from jobs.insights import rows, search


class RejectedRows(View):
    """Download the rows that an import rejected."""

    @extend_schema(
        operation_id="get_rejected_rows",
        summary="The rows that an import rejected, with position and reason, as CSV",
        tags=["jobs"],
        responses={
            (200, "text/csv"): OpenApiTypes.STR,
            **problem_responses(problems.NOT_AUTHENTICATED, problems.NOT_FOUND),
        },
    )
    def get(self, request: Request, job_id: UUID) -> StreamingHttpResponse:
        """Return the first 10,000, in pieces."""
        job = search.job(job_id)
        # One answer for both, as where a job is followed.
        if job is None or not permissions.may_read(request.user, job):
            raise Http404
        return StreamingHttpResponse(
            rows.rejected_csv(job.id),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="rejected-{job.id}.csv"'},
        )
