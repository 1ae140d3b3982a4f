"""/live and /ready, for whatever watches the process; the only addresses open to strangers."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.views import View

from jobs.api import problems
from jobs.api.problems import Problem
from jobs.insights import health

_UNCACHED = {"Cache-Control": "no-store"}


class _Probe(View):
    schema = None  # nothing to describe
    http_method_names = ["get", "head"]

    def http_method_not_allowed(self, *_: Any, **__: Any) -> HttpResponse:
        """Refuse as every address does."""
        return Problem(kind=problems.METHOD_NOT_ALLOWED).response({"Allow": "GET, HEAD"})


class Live(_Probe):
    """Whether this process answers; asks nothing else."""

    def get(self, _: HttpRequest) -> HttpResponseBase:
        """Return 200."""
        return JsonResponse({"status": "live"}, headers=_UNCACHED)


class Ready(_Probe):
    """Whether requests can be served: database and Redis answer within two seconds.

    A stranger learns the names of the parts and which failed, nothing else.
    """

    def get(self, _: HttpRequest) -> HttpResponseBase:
        """Return 200, or 503 naming what failed."""
        found = health.check()
        checks = {
            "database": "ok" if found.database else "failed",
            "redis": "ok" if found.redis else "failed",
            # Without a worker jobs wait; requests are served all the same.
            "worker": "ok" if found.has_worker else "none",
        }
        if found.failed:
            detail = f"No answer from: {', '.join(found.failed)}."
            problem = Problem(kind=problems.NOT_READY, detail=detail, extensions={"checks": checks})
            return problem.response()
        return JsonResponse({"status": "ready", "checks": checks}, headers=_UNCACHED)
