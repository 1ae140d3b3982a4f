"""Problem details for errors that never reached a view of the API: unknown paths, wrong hosts."""

from __future__ import annotations

import re

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from jobs.api.problems import CONTENT_TYPE, KIND_BY_STATUS, Problem

_ADDRESSES = re.compile(r"/(api|create-jobs|job-status|schema|docs|live|ready)(/|$)")


class ProblemDetails(MiddlewareMixin):
    """Replaces Django's own HTML errors at API addresses; put it first in MIDDLEWARE."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Return `response`, or a problem detail of its status in its place."""
        kind = KIND_BY_STATUS.get(response.status_code)
        if (
            kind is None
            or response.headers.get("Content-Type") == CONTENT_TYPE
            or not _ADDRESSES.match(request.path_info)
        ):
            return response
        return Problem(kind=kind).response()
