"""Whether a schedule's jobs could be made as things stand: classes, params, queues."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from jobs import conf, json_values, registry
from jobs.dispatch import create
from jobs.dispatch.create import Request
from jobs.errors import DispatchError, Fault, InvalidParams, InvalidSchedule, UnknownQueue
from jobs.schedules import declaration
from jobs.schedules.declaration import Declared, Flaw
from jobs.schedules.moments import cron, logical, spans
from jobs.schedules.moments.cron import Rule
from jobs.spec import JobSpec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SOME_DAY = datetime(2024, 1, 1, tzinfo=UTC)
_FAR = datetime(9000, 1, 1, tzinfo=UTC)


def examined(name: object, entry: object) -> tuple[Declared | None, list[Flaw]]:
    """Return what `declaration.read` does, and beside that every misfit among the flaws."""
    declared, flaws = declaration.read(name, entry)
    return declared, flaws if declared is None else list(misfits(declared))


def checked(name: object, entry: object) -> Declared:
    """Return what an entry states.

    Raises:
        InvalidSchedule: With every flaw and every misfit.
    """
    declared, flaws = examined(name, entry)
    if declared is None or flaws:
        raise InvalidSchedule(
            [Fault(param=flaw.key or "(whole)", message=flaw.sentence) for flaw in flaws]
        )
    return declared


def misfits(declared: Declared) -> Iterator[Flaw]:
    """Yield why a tick of this schedule would be refused, as things stand.

    W011: no such job class. W012: params that don't fit it. W013: no such queue. W014: a text in
    braces that looks like a name of the logical time and is none.
    """
    if declared.steps is None:
        yield from _misfits(declared, {"job": declared.job, "params": declared.params}, of="")
        if declared.queue:
            yield from _misfits_of_queue(declared.queue, "queue", "")
        return
    for name, step in declared.steps.items():
        yield from _misfits(declared, step, of=name)
    queues = {step.get("queue") or declared.queue: name for name, step in declared.steps.items()}
    for queue, name in queues.items():
        if queue:
            yield from _misfits_of_queue(queue, "steps", f"step {name!r}: ")


def faults_of_params(spec: JobSpec, params: Mapping[str, Any], rule: Rule) -> list[Fault]:
    """Return what a job class says against its params, by param; names in braces filled in."""
    error = _refusal(spec, logical.filled(params, rule, _some_moment(rule)))
    return error.faults if isinstance(error, InvalidParams) else []


def _misfits(declared: Declared, step: Mapping[str, Any], *, of: str) -> Iterator[Flaw]:
    job, params = step["job"], step.get("params") or {}
    spec = registry.find(job)
    where = f"step {of!r}: " if of else ""
    key = "steps" if of else "params"
    moment = _some_moment(declared.rule)
    if spec is None:
        names = ", ".join(spec.name for spec in registry.specs()) or "none"
        yield Flaw(
            check_id="jobs.W011",
            key="steps" if of else "job",
            message=f"{where}no job class is named {job!r}",
            hint=f"Registered are: {names}.",
        )
    elif fault := _fault(spec, logical.filled(params, declared.rule, moment), step.get("tags")):
        yield Flaw(
            check_id="jobs.W012",
            key=key,
            message=f"{where}{fault}",
            hint="Every tick would be refused: correct the params.",
        )
    for name in sorted(set(logical.unknown(params))):
        yield Flaw(
            check_id="jobs.W014",
            key=key,
            message=f"{where}{{{name}}} stands for nothing",
            hint=f"It would stay as it is. Known are: {', '.join(logical.NAMES)}, in braces.",
        )


def _misfits_of_queue(queue: str, key: str, where: str) -> Iterator[Flaw]:
    queues = conf.current().queues
    if queue not in queues:
        yield Flaw(
            check_id="jobs.W013",
            key=key,
            message=f"{where}no queue is named {queue!r}",
            hint=f"Queues are: {', '.join(queues)}.",
        )


def _some_moment(rule: Rule) -> datetime:
    """Return a moment of the rule, if possible one between two others."""
    after = (rule.start_at or _SOME_DAY) - spans.MICROSECOND
    if rule.end_at is not None and rule.end_at <= after:
        after = _EPOCH
    some = list(islice(cron.moments(rule, after=after, until=_FAR), 2))
    return some[-1] if some else after


def _fault(spec: JobSpec, params: Mapping[str, Any], tags: Iterable[str] | None) -> str:
    match _refusal(spec, params, tags):
        case None:
            return ""
        case DispatchError() as error:
            return str(error).rstrip(".")
        case error:
            text = f"checking the params of {spec.name} raised {type(error).__name__}: {error}"
            return json_values.scrubbed(text, spec.params.secrets(params))


def _refusal(
    spec: JobSpec, params: Mapping[str, Any], tags: Iterable[str] | None = None
) -> Exception | None:
    try:
        create.check(Request(spec=spec, params=params, tags=tuple(tags or ())))
    except UnknownQueue:
        return None  # the class's own: jobs.E004
    except Exception as error:  # noqa: BLE001 - the author's own validator; other schedules must start
        return error
    return None
