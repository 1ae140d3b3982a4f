"""GET /api/job-classes/: what the asker may run, and how."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import conf, permissions
from jobs.api import examples, problems, schema
from jobs.api.responses import problems as problem_responses
from jobs.api.serializers import JobClass
from jobs.api.views.base import View
from jobs.spec import JobSpec


class JobClasses(View):
    """The job classes that the asker may run."""

    @extend_schema(
        operation_id="list_job_classes",
        summary="The job classes you may run, with their params as JSON schema",
        tags=["jobs"],
        responses={200: JobClass(many=True), **problem_responses(problems.NOT_AUTHENTICATED)},
    )
    def get(self, request: Request) -> Response:
        """Return each class, by name."""
        specs = permissions.runnable(request.user)
        return Response(JobClass([_shown(spec) for spec in specs], many=True).data)


def _shown(spec: JobSpec) -> dict[str, Any]:
    settings = conf.current()
    timeout = spec.timeout or settings.timeout
    return {
        "job": spec.name,
        "description": spec.description,
        "queue": spec.queue or settings.queue,
        "max_attempts": spec.max_attempts or settings.max_attempts,
        "timeout_seconds": timeout.total_seconds(),
        "atomic": spec.atomic,
        "tags": list(spec.tags),
        "redact": sorted(spec.params.redact),
        "params": examples.params_schema(spec),
        "example": schema.example_body(spec),
    }
