"""From the body of POST /create-jobs/ to jobs: all of them, or every fault of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import takewhile
from typing import Any
from urllib.parse import quote
from uuid import UUID

from jobs import json_values, permissions, registry
from jobs.api import problems
from jobs.api.problems import Kind, Refusal
from jobs.dispatch import create
from jobs.dispatch.bonds import MAX_PARENTS
from jobs.dispatch.create import Request
from jobs.errors import DispatchError, InvalidParams, UnknownJob, UnknownParent
from jobs.models import JobStatus
from jobs.models.job_status import is_job_id
from jobs.permissions import AnyUser
from jobs.statuses import OnParentFailure

MAX_JOBS = 1_000
MAX_ERRORS = 1_000  # listed in one problem
MAX_DETAIL_BYTES = 1_024  # of one of them
MAX_STEP = 200  # characters; a pointer ends before a longer key
MAX_NAME = 100  # characters of a job's or a queue's name
KEYS = ("job", "params", "queue", "run_at", "depends_on", "on_parent_failure")


@dataclass(slots=True)
class _Faults:
    """What is wrong with a body, each with the place where it stands."""

    is_list: bool
    kinds: set[Kind] = field(default_factory=set)
    found: list[dict[str, Any]] = field(default_factory=list)

    def add(self, kind: Kind, index: int, path: tuple[str, ...], detail: str) -> None:
        self.kinds.add(kind)
        place = {"index": index} if self.is_list else {}
        known = tuple(takewhile(lambda step: len(step) <= MAX_STEP, path))
        steps = (str(index), *known) if self.is_list else known
        text = json_values.cleaned(detail, limit_bytes=MAX_DETAIL_BYTES)
        self.found.append({"type": kind.type, "pointer": pointer(steps), **place, "detail": text})

    def refusal(self) -> Refusal:
        kind = self.kinds.pop() if len(self.kinds) == 1 else problems.INVALID_REQUEST
        left_out = len(self.found) - MAX_ERRORS
        rest = {"errors_left_out": left_out} if left_out > 0 else {}
        detail = f"{len(self.found):,} things are wrong, listed in errors. No job was made."
        if len(self.found) == 1:
            detail = f"{self.found[0]['detail'].removesuffix('.')}. No job was made."
        return Refusal(kind, detail, errors=self.found[:MAX_ERRORS], **rest)


def dispatch(body: Any, *, user: AnyUser) -> list[JobStatus]:
    """Make the job or the jobs that `body` asks for, all or none, in the caller's transaction.

    Args:
        body: One object, or a list of up to 1,000.
        user: Who asks; stands in the rows as created_by.

    Raises:
        Refusal: With every fault of every object, or because one of the classes may not be run.
    """
    items = body if isinstance(body, list) else [body]
    if not 1 <= len(items) <= MAX_JOBS:
        raise Refusal(
            problems.INVALID_REQUEST,
            f"The list has {len(items):,} objects; send 1 to {MAX_JOBS:,}. No job was made.",
        )
    faults = _Faults(is_list=isinstance(body, list))
    requests = {
        index: request
        for index, item in enumerate(items)
        if (request := _request(item, index, faults, user)) is not None
    }
    _refuse_forbidden(requests, user, is_list=faults.is_list)
    _refuse_unreadable(requests, user, faults)
    first: DispatchError | None = None
    if not faults.found:
        try:
            return create.dispatch(list(requests.values()))
        except DispatchError as error:
            first = error
    _check(requests, faults)
    if first is not None and not faults.found:
        raise first
    raise faults.refusal()


def _request(item: Any, index: int, faults: _Faults, user: AnyUser) -> Request | None:
    """Return `item` as a request; note what is wrong with its shape."""
    if not isinstance(item, dict):
        faults.add(problems.INVALID_REQUEST, index, (), "This must be an object.")
        return None
    before = len(faults.found)
    for key, detail in _shape_faults(item):
        faults.add(problems.INVALID_REQUEST, index, (key,), detail)
    run_at = _run_at(item.get("run_at"), index, faults)
    spec = None
    if _is_name(item.get("job")):
        spec = registry.find(item["job"])
        if spec is None:
            unknown = UnknownJob(item["job"], known=(known.name for known in registry.specs()))
            faults.add(problems.UNKNOWN_JOB, index, ("job",), str(unknown))
    if spec is None or len(faults.found) > before:
        return None
    return Request(
        spec=spec,
        params=item.get("params") or {},
        queue=item.get("queue"),
        run_at=run_at,
        created_by_id=user.pk,
        depends_on=tuple(UUID(text) for text in item.get("depends_on") or ()),
        on_parent_failure=item.get("on_parent_failure") or OnParentFailure.CANCEL,
    )


def _shape_faults(item: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = [
        (key, f"There is no such key; there are: {', '.join(KEYS)}.")
        for key in item
        if key not in KEYS
    ]
    if "job" not in item:
        found.append(("job", "This is required: the name of a job class."))
    elif not _is_name(item["job"]):
        found.append(("job", "This must be the name of a job class, a text."))
    if not isinstance(item.get("params"), dict | None):
        found.append(("params", "This must be an object."))
    if item.get("queue") is not None and not _is_name(item["queue"]):
        found.append(("queue", "This must be the name of a queue, a text, or null."))
    if item.get("depends_on") is not None and not _are_ids(item["depends_on"]):
        found.append(("depends_on", f"This must be a list of up to {MAX_PARENTS:,} ids of jobs."))
    if item.get("on_parent_failure") not in (None, *OnParentFailure):
        found.append(("on_parent_failure", 'This must be "cancel" or "run", or null.'))
    return found


def _are_ids(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MAX_PARENTS
        and all(isinstance(each, str) and is_job_id(each) for each in value)
    )


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME


def _run_at(value: Any, index: int, faults: _Faults) -> datetime | None:
    if value is None:
        return None
    moment = None
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
    if moment is None or moment.tzinfo is None:
        detail = "This must be a moment with its zone (2026-12-01T08:00:00Z), or null."
        faults.add(problems.INVALID_OPTION, index, ("run_at",), detail)
        return None
    return moment


def _refuse_forbidden(requests: Mapping[int, Request], user: AnyUser, *, is_list: bool) -> None:
    names = {request.spec.name for request in requests.values()}
    forbidden = {name for name in names if not permissions.may_run(user, name)}
    faults = _Faults(is_list=is_list)
    for index, request in requests.items():
        name = request.spec.name
        if name in forbidden:
            needed = f"jobs.{permissions.run_codename(name)}"
            detail = f"To run {name} you need the permission {needed} or {permissions.ADD}."
            faults.add(problems.FORBIDDEN_JOB, index, ("job",), detail)
    if faults.found:
        raise faults.refusal()


def _refuse_unreadable(requests: dict[int, Request], user: AnyUser, faults: _Faults) -> None:
    """Note the parents that `user` may not follow: they look like ones that there are not.

    So these parents are taken out of the requests: nobody looks whether they are there.
    """
    named = {parent for request in requests.values() for parent in request.depends_on}
    if not named or permissions.may_view(user):
        return
    mine = JobStatus.objects.filter(id__in=named, created_by=user.pk)
    unknown = named - set(mine.values_list("id", flat=True))
    for index, request in requests.items():
        if wrong := [parent for parent in request.depends_on if parent in unknown]:
            detail = str(UnknownParent(wrong))
            faults.add(problems.INVALID_OPTION, index, ("depends_on",), detail)
            requests[index] = replace(request, depends_on=())


def _check(requests: Mapping[int, Request], faults: _Faults) -> None:
    for index, request in requests.items():
        try:
            create.check(request)
        except InvalidParams as error:
            for fault in error.faults:
                path = () if fault["param"] == "(whole)" else tuple(fault["param"].split("."))
                detail = f"{fault['param']}: {fault['message']}"
                faults.add(problems.INVALID_PARAMS, index, ("params", *path), detail)
        except UnknownParent as error:
            faults.add(problems.INVALID_OPTION, index, ("depends_on",), str(error))
        except DispatchError as error:
            faults.add(problems.kind_of(error), index, _place(error), str(error))


def _place(error: DispatchError) -> tuple[str, ...]:
    match problems.kind_of(error):
        case problems.UNKNOWN_QUEUE:
            return ("queue",)
        case problems.PARAMS_TOO_LARGE:
            return ("params",)
        case problems.INVALID_OPTION:
            return ("run_at",)
        case _:
            return ()


def pointer(steps: tuple[str, ...]) -> str:
    """Return a JSON pointer (RFC 6901) as a URI fragment, as RFC 9457's own example has it."""
    return "#" + "".join(
        "/" + quote(step.replace("~", "~0").replace("/", "~1"), safe="~!$&'()*+,;=:@")
        for step in steps
    )
