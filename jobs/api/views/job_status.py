"""GET /job-status/<id>: where one job is, cheap to ask often."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import json_values
from jobs.api import permissions, problems
from jobs.api.responses import problems as problem_responses
from jobs.api.serializers import Job
from jobs.api.views.base import View
from jobs.insights import search


class JobStatusView(View):
    """Follow one job."""

    @extend_schema(
        operation_id="job_status",
        summary="Where a job is in its life, and its result",
        tags=["jobs"],
        parameters=[
            OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="An ETag.")
        ],
        responses={
            200: Job,
            304: None,
            **problem_responses(problems.NOT_AUTHENTICATED, problems.NOT_FOUND),
        },
    )
    def get(self, request: Request, job_id: UUID) -> HttpResponseBase:
        """Return the job, or 304 where the asker's copy is still right."""
        job = search.job(job_id)
        # One answer for both: an id that may not be followed must look like one that isn't there.
        if job is None or not permissions.may_read(request.user, job):
            raise Http404
        data = Job(job).data
        etag = _etag(data)
        response = Response(data, headers={"ETag": etag, "Cache-Control": "private, no-cache"})
        return get_conditional_response(request, etag=etag, response=response) or response


def _etag(data: Any) -> str:
    digest = hashlib.blake2b(json_values.dump(data).encode(), digest_size=16)
    return f'"{digest.hexdigest()}"'
