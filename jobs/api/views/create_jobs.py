"""POST /create-jobs/: one job or up to a thousand, all or none."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import urlencode

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.api import creation, json_body, problems
from jobs.api.responses import problems as problem_responses
from jobs.api.schema import CREATE_BODY, CREATE_OPERATION, CREATED_BODY
from jobs.api.serializers import Created
from jobs.api.views.base import View
from jobs.models import JobStatus

logger = logging.getLogger("jobs.api")

LOGGED_ONE_BY_ONE = 10  # of one list


class CreateJobs(View):
    """Make jobs."""

    @extend_schema(
        operation_id=CREATE_OPERATION,
        summary="Make one job, or up to 1,000 at once, all or none",
        tags=["jobs"],
        request={"application/json": CREATE_BODY},
        responses={
            (201, "application/json"): CREATED_BODY,
            **problem_responses(
                problems.INVALID_REQUEST, problems.INVALID_PARAMS, problems.UNKNOWN_JOB,
                problems.UNKNOWN_QUEUE, problems.MALFORMED_JSON, problems.NOT_AUTHENTICATED,
                problems.FORBIDDEN_JOB, problems.BODY_TOO_LARGE, problems.UNSUPPORTED_MEDIA_TYPE,
            ),
        },
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """Make the jobs that the body asks for."""
        body = json_body.read(request)
        jobs = creation.dispatch(body, user=request.user)
        _log(jobs)
        is_list = isinstance(body, list)
        data = Created(jobs, many=True).data if is_list else Created(jobs[0]).data
        location = _of_all(jobs) if is_list else _of_one(jobs[0])
        return Response(data, status=201, headers={"Location": location})


def _log(jobs: Sequence[JobStatus]) -> None:
    """Say which jobs a request has made; the line of the request itself doesn't."""
    for job in jobs[:LOGGED_ONE_BY_ONE]:
        logger.info(
            "created job %s",
            job.id,
            extra={"job_id": job.id, "job_class": job.job_class, "queue": job.queue},
        )
    if len(jobs) > LOGGED_ONE_BY_ONE:
        logger.info("created %d more jobs", len(jobs) - LOGGED_ONE_BY_ONE)


def _of_one(job: JobStatus) -> str:
    return reverse("jobs_api:job-status", kwargs={"job_id": job.id})


def _of_all(jobs: Sequence[JobStatus]) -> str:
    # The jobs of one statement bear one moment, so a window of a microsecond holds them all.
    moment = jobs[0].created_at
    window = {
        "created_after": moment.isoformat(),
        "created_before": (moment + timedelta(microseconds=1)).isoformat(),
    }
    return f"{reverse('jobs_api:jobs')}?{urlencode(window)}"
