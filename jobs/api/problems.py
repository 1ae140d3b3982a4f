"""Every error as a problem detail (RFC 9457); one table says which error has which type."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core import exceptions as django_errors
from django.core.signals import got_request_exception
from django.http import Http404, HttpResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from rest_framework import exceptions as rest_errors
from rest_framework.views import set_rollback

from jobs import errors, json_values
from jobs.processes.outage import is_postgresql_away

logger = logging.getLogger("jobs.api")

CONTENT_TYPE = "application/problem+json"
MAX_DETAIL_BYTES = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of problem; `slug` is the end of its type's URN."""

    slug: str
    title: str
    status: int

    @property
    def type(self) -> str:
        """The URN that programs compare."""
        return f"urn:jobsite:problem:{self.slug}"


def _kind(status: int, slug: str, title: str) -> Kind:
    return Kind(slug=slug, title=title, status=status)


BAD_REQUEST = _kind(400, "bad-request", "The request can't be understood")
MALFORMED_JSON = _kind(400, "malformed-json", "The body is not JSON that can be stored")
INVALID_REQUEST = _kind(400, "invalid-request", "The body asks for something impossible")
INVALID_QUERY = _kind(400, "invalid-query", "The query string asks for something impossible")
INVALID_PARAMS = _kind(400, "invalid-params", "The params don't fit the job class")
INVALID_OPTION = _kind(400, "invalid-option", "An option of the job is wrong")
UNKNOWN_JOB = _kind(400, "unknown-job", "No job class has this name")
UNKNOWN_QUEUE = _kind(400, "unknown-queue", "No queue has this name")
INVALID_SCHEDULE = _kind(400, "invalid-schedule", "The schedule can't be read")
INVALID_BACKFILL = _kind(400, "invalid-backfill", "The backfill asks for something impossible")
NOT_AUTHENTICATED = _kind(401, "not-authenticated", "Say who you are")
FORBIDDEN = _kind(403, "forbidden", "You may not do this")
FORBIDDEN_JOB = _kind(403, "forbidden-job", "You may not run this job class")
NOT_FOUND = _kind(404, "not-found", "There is nothing here")
METHOD_NOT_ALLOWED = _kind(405, "method-not-allowed", "This address has no such method")
NOT_ACCEPTABLE = _kind(406, "not-acceptable", "No such representation")
WRONG_STATUS = _kind(409, "wrong-status", "The job's status forbids it")
SCHEDULE_EXISTS = _kind(409, "schedule-exists", "A schedule of this name exists")
SCHEDULE_IS_OF_SETTINGS = _kind(
    409, "schedule-is-of-settings", "The schedule is declared in the settings"
)
RUN_REFUSED = _kind(409, "run-refused", "The run could not be made")
WRONG_BACKFILL_STATUS = _kind(
    409, "wrong-backfill-status", "The status of this or of another backfill forbids it"
)
SCHEDULE_CHANGED = _kind(412, "schedule-changed", "Somebody has changed the schedule meanwhile")
BODY_TOO_LARGE = _kind(413, "body-too-large", "The body is too large")
PARAMS_TOO_LARGE = _kind(413, "params-too-large", "The params are too large")
UNSUPPORTED_MEDIA_TYPE = _kind(415, "unsupported-media-type", "The body must be JSON")
INTERNAL_ERROR = _kind(500, "internal-error", "Something went wrong here")
UNAVAILABLE = _kind(503, "unavailable", "The database doesn't answer; try again")
NOT_READY = _kind(503, "not-ready", "A part that is needed doesn't answer")

# Looked up along an error's ancestors, nearest first. What isn't here is an internal error.
KIND_BY_ERROR: Mapping[type[BaseException], Kind] = {
    errors.InvalidParams: INVALID_PARAMS,
    errors.ParamsTooLarge: PARAMS_TOO_LARGE,
    errors.UnknownJob: UNKNOWN_JOB,
    errors.UnknownQueue: UNKNOWN_QUEUE,
    errors.InvalidOption: INVALID_OPTION,
    errors.UnknownParent: INVALID_OPTION,
    errors.InvalidWorkflow: INVALID_REQUEST,
    errors.DispatchError: INVALID_REQUEST,
    errors.InvalidSchedule: INVALID_SCHEDULE,
    errors.InvalidBackfill: INVALID_BACKFILL,
    errors.UnknownSchedule: NOT_FOUND,
    errors.UnknownBackfill: NOT_FOUND,
    errors.ScheduleExists: SCHEDULE_EXISTS,
    errors.ScheduleIsOfSettings: SCHEDULE_IS_OF_SETTINGS,
    errors.ScheduleChanged: SCHEDULE_CHANGED,
    errors.RunRefused: RUN_REFUSED,
    errors.WrongBackfillStatus: WRONG_BACKFILL_STATUS,
    errors.ScheduleError: INVALID_REQUEST,
    rest_errors.NotAuthenticated: NOT_AUTHENTICATED,
    rest_errors.AuthenticationFailed: NOT_AUTHENTICATED,
    rest_errors.PermissionDenied: FORBIDDEN,
    django_errors.PermissionDenied: FORBIDDEN,
    rest_errors.NotFound: NOT_FOUND,
    Http404: NOT_FOUND,
    rest_errors.MethodNotAllowed: METHOD_NOT_ALLOWED,
    rest_errors.NotAcceptable: NOT_ACCEPTABLE,
    rest_errors.UnsupportedMediaType: UNSUPPORTED_MEDIA_TYPE,
    rest_errors.APIException: BAD_REQUEST,
    django_errors.RequestDataTooBig: BODY_TOO_LARGE,
    django_errors.SuspiciousOperation: BAD_REQUEST,
    django_errors.BadRequest: BAD_REQUEST,
    MultiPartParserError: BAD_REQUEST,
    UnreadablePostError: BAD_REQUEST,
}

# Statuses that Django itself may answer with before a view of ours is reached.
KIND_BY_STATUS: Mapping[int, Kind] = {
    kind.status: kind
    for kind in (
        BAD_REQUEST, NOT_AUTHENTICATED, FORBIDDEN, NOT_FOUND, METHOD_NOT_ALLOWED, BODY_TOO_LARGE,
        INTERNAL_ERROR, UNAVAILABLE,
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One answer that says what went wrong and what to do."""

    kind: Kind
    detail: str = ""
    extensions: Mapping[str, Any] = field(default_factory=dict)

    def response(self, headers: Mapping[str, str] | None = None) -> HttpResponse:
        """Return the problem as a response."""
        body = {"type": self.kind.type, "title": self.kind.title, "status": self.kind.status}
        if self.detail:
            body["detail"] = json_values.cleaned(self.detail, limit_bytes=MAX_DETAIL_BYTES)
        content = json.dumps(body | dict(self.extensions), allow_nan=False).encode()
        return HttpResponse(
            content,
            status=self.kind.status,
            content_type=CONTENT_TYPE,
            headers={
                "Cache-Control": "no-store",
                "Content-Length": str(len(content)),
                "X-Content-Type-Options": "nosniff",
                **(headers or {}),
            },
        )


class Refusal(Exception):
    """The request is answered with a problem."""

    def __init__(self, kind: Kind, detail: str = "", **extensions: Any) -> None:
        super().__init__(detail or kind.title)
        self.problem = Problem(kind=kind, detail=detail, extensions=extensions)


def kind_of(error: BaseException) -> Kind:
    """Return the kind of problem that `error` is."""
    if is_postgresql_away(error):
        return UNAVAILABLE
    found = (KIND_BY_ERROR[cls] for cls in type(error).__mro__ if cls in KIND_BY_ERROR)
    return next(found, INTERNAL_ERROR)


def handle(error: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """Return the response for whatever a view raised; REST framework's EXCEPTION_HANDLER."""
    set_rollback()
    problem = error.problem if isinstance(error, Refusal) else _problem_of(error)
    if problem.kind in {INTERNAL_ERROR, UNAVAILABLE}:
        # Django's own handler of uncaught errors is passed over: it would show HTML.
        request = context.get("request")
        logger.error("a request failed: %s", type(error).__name__, exc_info=error)
        got_request_exception.send(sender=None, request=request)
    return problem.response(_headers(error))


def _problem_of(error: Exception) -> Problem:
    kind = kind_of(error)
    if isinstance(error, rest_errors.APIException):
        return Problem(kind=kind, detail=str(error.detail))
    if isinstance(error, errors.DispatchError | errors.ScheduleError):
        return Problem(kind=kind, detail=str(error))
    # What other errors say is for the log: it may name tables, hosts or files.
    return Problem(kind=kind)


def _headers(error: Exception) -> dict[str, str]:
    headers = {}
    if auth_header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = auth_header
    if is_postgresql_away(error):
        headers["Retry-After"] = "5"
    return headers
