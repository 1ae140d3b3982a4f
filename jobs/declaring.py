"""From a class that an author wrote to its spec: what is wrong with it is said when it is made."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
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
