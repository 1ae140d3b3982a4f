"""From a class that an author wrote to its spec: what is wrong with it is said when it is made."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Set
from datetime import timedelta
from typing import Any

from asgiref.sync import iscoroutinefunction

from jobs.errors import InvalidDeclaration
from jobs.params import ParamsSchema
from jobs.retention import Retention
from jobs.runner.context import Context
from jobs.spec import JobSpec


def freeze(
    cls: type[Any], *, name: str, description: str, schema: ParamsSchema, base: type[Any]
) -> JobSpec:
    """Return the spec of a job class.

    Args:
        cls: The class.
        name: The registered one.
        description: For people.
        schema: Of its params.
        base: What every job class derives from, and writes `_perform` in place of.

    Raises:
        InvalidDeclaration: What is wrong, and what to write.
    """
    if cls._perform is base._perform:  # noqa: SLF001 - the author's half of this class
        raise InvalidDeclaration(
            f"{cls.__name__} has no _perform: write one, or set abstract = True in its body."
        )
    if inspect.isfunction(inspect.getattr_static(cls, "backoff", None)):
        raise InvalidDeclaration(
            f"{cls.__name__}: backoff(attempt, error) must be a @staticmethod: it is asked "
            "when there may be no instance."
        )
    return JobSpec(
        name=name,
        path=f"{cls.__module__}.{cls.__qualname__}",
        description=description,
        params=schema,
        perform=_performer(schema),
        queue=cls.queue,
        max_attempts=cls.max_attempts,
        timeout=cls.timeout,
        backoff=cls.backoff,
        retry_on=cls.retry_on,
        discard_on=cls.discard_on,
        atomic=cls.atomic,
        is_async=_is_async(cls),
        tags=cls.tags,
        retention=_retention(cls),
    )


def refuse_import(cls: type[Any], params: Set[str], *, taken: Set[str]) -> None:
    """Refuse an EtlJob whose params or options make no sense.

    Args:
        cls: The class.
        params: The names of its own params.
        taken: Names that mean something else to every EtlJob.

    Raises:
        InvalidDeclaration: What is wrong, and what to write.
    """
    if met := params & taken:
        raise InvalidDeclaration(
            f"{cls.__name__}: {', '.join(sorted(met))} can't be a param's name: it is a hook or "
            "an option of EtlJob. To set an option, leave out its annotation."
        )
    # What is a param is looked at when it has a value.
    fault = import_fault(
        batch_size=None if "batch_size" in params else cls.batch_size,
        max_rejected=None if "max_rejected" in params else cls.max_rejected,
    )
    if fault:
        raise InvalidDeclaration(f"{cls.__name__}: {fault}")


def import_fault(*, batch_size: int | None, max_rejected: float | None) -> str:
    """Return what is wrong with these options of an EtlJob; empty where nothing is, or for None."""
    if batch_size is not None and batch_size < 1:
        return "batch_size must be at least 1."
    match max_rejected:
        case None:
            return ""
        case float() if 0 <= max_rejected <= 1:
            return ""
        case int() if max_rejected >= 0 and not isinstance(max_rejected, bool):
            return ""
    return (
        "max_rejected must be a number of rows (an int), a share of them (a float from 0.0 to 1.0) "
        f"or None, not {max_rejected!r}."
    )


def _is_async(cls: type[Any]) -> bool:
    written = inspect.getattr_static(cls, "_perform")
    while isinstance(written, functools.partial | functools.partialmethod):
        written = written.func
    if inspect.isgeneratorfunction(written) or inspect.isasyncgenfunction(written):
        raise InvalidDeclaration(
            f"{cls.__name__}: _perform yields, so it would never run: return its result instead."
        )
    return iscoroutinefunction(written)


def _retention(cls: type[Any]) -> Retention:
    match cls.retention:
        case None:
            return Retention()
        case Retention():
            return cls.retention
        case timedelta() if cls.retention > timedelta(0):
            return Retention.of_all(cls.retention)
        case wrong:
            raise InvalidDeclaration(
                f"{cls.__name__}: retention must be a positive timedelta or a "
                f"Retention(completed=..., failed=..., cancelled=...), not {wrong!r}"
            )


def _performer(schema: ParamsSchema) -> Callable[[Mapping[str, Any], Context], Any]:
    def perform(params: Mapping[str, Any], context: Context) -> Any:
        job = schema.build(params)
        vars(job)["_context"] = context
        return job._perform()  # noqa: SLF001 - the author's half of this class

    return perform
