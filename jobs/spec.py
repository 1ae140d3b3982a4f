"""All that a job class declares, checked once and frozen."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from jobs import json_values
from jobs.errors import InvalidDeclaration
from jobs.params import ParamsSchema
from jobs.retention import Retention
from jobs.retry import Backoff, BackoffFunction

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,89}")
MAX_TAGS = 20
MAX_TAG_LENGTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """A job class as the lower rooms know it.

    An option that is None was left out by the class: `dispatch` and `worker` fill it from `conf`.
    """

    name: str
    path: str  # module and class, for people
    description: str
    params: ParamsSchema
    perform: Callable[
        [Mapping[str, Any], Any], Any
    ]  # (params, context) -> result, or its awaitable
    queue: str | None = None
    max_attempts: int | None = None
    timeout: timedelta | None = None  # of one attempt
    retry_on: tuple[type[BaseException], ...] = (Exception,)
    discard_on: tuple[type[BaseException], ...] = ()
    backoff: Backoff | BackoffFunction | None = None
    atomic: bool = False
    is_async: bool = False  # perform returns an awaitable: many wait at once in one runner
    tags: tuple[str, ...] = ()
    retention: Retention = field(default_factory=Retention)

    def __post_init__(self) -> None:
        for fault in self._faults():
            raise InvalidDeclaration(f"{self.path}: {fault}")

    def _faults(self) -> list[str]:
        found = []
        if not _NAME.fullmatch(self.name):
            found.append(
                f"{self.name!r} is no name for a job: up to 90 letters, digits, '_', '-' and '.', "
                "beginning with a letter or '_'"
            )
        if self.max_attempts is not None and not _is_positive_int(self.max_attempts):
            found.append(f"max_attempts must be a whole number from 1, not {self.max_attempts!r}")
        if self.timeout is not None and not _is_positive(self.timeout):
            found.append(f"timeout must be a positive timedelta, not {self.timeout!r}")
        if self.atomic and self.is_async:
            found.append(
                "atomic = True can't be had with `async def _perform`: a transaction belongs to "
                "one thread, and an event loop runs many jobs on its own. Write `def _perform`, "
                "or drop atomic and put the writes into a function under transaction.atomic() "
                "that _perform awaits through sync_to_async"
            )
        if not (
            self.backoff is None or isinstance(self.backoff, Backoff) or callable(self.backoff)
        ):
            found.append("backoff must be a Backoff(base=..., cap=...) or a @staticmethod")
        found += [
            f"{option} must be a tuple of exception classes"
            for option in ("retry_on", "discard_on")
            if not _are_exceptions(getattr(self, option))
        ]
        if not are_tags(self.tags):
            found.append(
                f"tags must be up to {MAX_TAGS} texts of up to {MAX_TAG_LENGTH} characters"
            )
        return found


def _is_positive_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_positive(value: object) -> bool:
    return isinstance(value, timedelta) and value > timedelta(0)


def _are_exceptions(value: object) -> bool:
    return isinstance(value, tuple) and all(
        isinstance(item, type) and issubclass(item, BaseException) for item in value
    )


def are_tags(value: object) -> bool:
    """Whether `value` is a tuple of texts that may be a job's tags."""
    return (
        isinstance(value, tuple)
        and len(value) <= MAX_TAGS
        and all(
            isinstance(tag, str)
            and 0 < len(tag) <= MAX_TAG_LENGTH
            and not any(json_values.faults(tag))
            for tag in value
        )
    )
