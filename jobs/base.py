"""What a job author writes against: BaseJob."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, dataclass_transform
from uuid import UUID

from jobs import declaring, registry
from jobs import params as params_room
from jobs.dispatch import bonds, create
from jobs.dispatch.create import Request
from jobs.errors import JobError
from jobs.models import JobStatus
from jobs.retention import Retention
from jobs.retry import Backoff, BackoffFunction
from jobs.runner.context import Context
from jobs.spec import JobSpec
from jobs.statuses import OnParentFailure
from jobs.workflows.build import Step, chain, workflow
from jobs.workflows.results import ParentResults

__all__ = ["RESERVED", "BaseJob", "chain", "workflow"]


@dataclass_transform(kw_only_default=True, eq_default=False)
class BaseJob:
    """A job class: its annotated attributes are params, its plain attributes are options.

    Write subclasses in the `jobs.py` of an installed app; each is registered under its class name.

        class ImportAirports(BaseJob):
            queue = "etl"                # an option

            source: str                  # a param

            def _perform(self) -> dict[str, int]:
                return {"rows": load(self.source)}

        ImportAirports.dispatch(source="airports.csv")

    An option that is None comes from settings.JOBS.
    """

    abstract: ClassVar[bool] = (
        False  # True in a class's own body: not registered, only derived from
    )
    job_name: ClassVar[str | None] = None  # the registered name, where it isn't the class's
    queue: ClassVar[str | None] = None
    max_attempts: ClassVar[int | None] = None
    timeout: ClassVar[timedelta | None] = None  # longest run of one attempt
    # Backoff(base=..., cap=...), or a @staticmethod (attempt, error) -> timedelta.
    backoff: ClassVar[Backoff | BackoffFunction | None] = None
    retry_on: ClassVar[tuple[type[BaseException], ...]] = (Exception,)
    discard_on: ClassVar[tuple[type[BaseException], ...]] = ()
    atomic: ClassVar[bool] = False  # the job's own writes and its `completed` are one commit
    tags: ClassVar[tuple[str, ...]] = ()
    # How long its ended jobs are kept: all alike, or by status; timedelta.max keeps for ever.
    retention: ClassVar[Retention | timedelta | None] = None
    redact: ClassVar[tuple[str, ...]] = ()  # params hidden in Redis, logs, admin, API and errors

    spec: ClassVar[JobSpec]
    _context: ClassVar[Context | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        name = cls.__dict__.get("job_name") or cls.__name__
        # Read before `declare`: a dataclass without a docstring is given its signature for one.
        description = inspect.cleandoc(cls.__dict__.get("__doc__") or "")
        # Of every ancestor too: a subclass that hides a param of its own must not lay theirs open.
        redact = tuple(name for each in cls.__mro__ for name in vars(each).get("redact", ()))
        schema = params_room.declare(
            cls, job_name=name, base=BaseJob, reserved=RESERVED, redact=redact
        )
        if cls.__dict__.get("abstract", False):
            return
        cls.spec = declaring.freeze(
            cls, name=name, description=description, schema=schema, base=BaseJob
        )
        registry.register(cls.spec)

    def _perform(self) -> Any:
        """Do the work; the return value, JSON, is the job's result. Every job class writes this.

        Written as `async def` it waits beside many others in one runner.
        """
        raise NotImplementedError

    @classmethod
    def dispatch(
        cls,
        *,
        queue: str | None = None,
        run_at: datetime | timedelta | None = None,
        tags: tuple[str, ...] = (),
        created_by: Any = None,
        depends_on: Iterable[JobStatus | UUID] = (),
        on_parent_failure: str = OnParentFailure.CANCEL,
        **params: Any,
    ) -> JobStatus:
        """Make a job in the caller's transaction; it runs if and only if that commits.

        Args:
            queue: Where it waits; default: the class's, then the settings'.
            run_at: From when it may start: an aware datetime, or a timedelta from now.
            tags: Labels beside the class's own.
            created_by: The user it is made for.
            depends_on: Jobs, or their ids, that must have ended before it may start.
            on_parent_failure: If one of these fails or is cancelled: "cancel" this one as well, or
                "run" it all the same once all have ended.
            params: The class's params.

        Raises:
            DispatchError: What was wrong and what to do (InvalidParams, UnknownQueue,
                ParamsTooLarge, InvalidOption, UnknownParent); then there is no row.
        """
        request = _request(
            cls,
            params,
            queue=queue,
            run_at=run_at,
            tags=tags,
            created_by=created_by,
            depends_on=depends_on,
            on_parent_failure=on_parent_failure,
        )
        return create.dispatch_one(request)

    @classmethod
    def dispatch_many(  # noqa: PLR0913 - all of `dispatch`, by keyword
        cls,
        params: Iterable[Mapping[str, Any]],
        *,
        queue: str | None = None,
        run_at: datetime | timedelta | None = None,
        tags: tuple[str, ...] = (),
        created_by: Any = None,
        depends_on: Iterable[JobStatus | UUID] = (),
        on_parent_failure: str = OnParentFailure.CANCEL,
    ) -> list[JobStatus]:
        """Make a job for each of `params`, all or none, a thousand at once; else as `dispatch`."""
        request = _request(
            cls,
            {},
            queue=queue,
            run_at=run_at,
            tags=tags,
            created_by=created_by,
            depends_on=depends_on,
            on_parent_failure=on_parent_failure,
        )
        return create.dispatch_many(request, params)

    @classmethod
    def step(
        cls,
        *,
        queue: str | None = None,
        run_at: datetime | timedelta | None = None,
        tags: tuple[str, ...] = (),
        on_parent_failure: str = OnParentFailure.CANCEL,
        **params: Any,
    ) -> Step:
        """Return this job as a step of a `chain` or a `workflow`; the arguments are `dispatch`'s.

        What it follows is said there; its params are checked when all are dispatched.
        """
        return Step(
            spec=_spec_of(cls),
            params=params,
            queue=queue,
            run_at=run_at,
            tags=tags,
            on_parent_failure=on_parent_failure,
        )

    @property
    def job_id(self) -> UUID:
        """The running job's id."""
        return self._running().job_id

    @property
    def attempt(self) -> int:
        """The running attempt, counted from 1; snoozes don't count."""
        return self._running().attempt

    @property
    def logical_time(self) -> datetime | None:
        """The moment the job's tick stands for; None for a job that no schedule made."""
        return self._running().logical_time

    def parent_results(self) -> ParentResults:
        """Return what the jobs that this one depends on have returned, in their order.

        `results["flights"]` is the one of that step, `results[0]` the first one's; `results.failed`
        names those that haven't completed. One statement, on the default database's connection.
        """
        return self._running().parent_results()

    def progress(self, done: int, total: int | None = None, message: str = "") -> None:
        """Say how far the job is; cheap to call often, written at most a few times a second.

        Outside a worker, in a test of your own, it does nothing.
        """
        if self._context is not None:
            self._context.progress(done, total, message)

    def checkpoint(self, position: Any) -> None:
        """Record how far the job is, for the attempt that follows a kill, a stop or an error.

        Write it in the transaction of what was done until there: then both stand, or neither, and
        each piece of work is done exactly once. An attempt that was lost to another worker is
        refused, and its transaction must not commit. Outside a worker it does nothing.

        Args:
            position: JSON of at most 64 KiB: a row's number, a key, a page's token.

        Raises:
            InvalidCheckpoint: It is no such JSON.
            StaleAttempt: Another attempt has begun.
        """
        if self._context is not None:
            self._context.checkpoint(position)

    @property
    def last_checkpoint(self) -> Any:
        """The position recorded last, by this attempt or an earlier one; None before the first.

        A retry goes on from there; a completed job that is run again begins anew. Read it once,
        before the work: from then on an earlier attempt that still runs somewhere records nothing.
        """
        return None if self._context is None else self._context.last_checkpoint()

    def _running(self) -> Context:
        if self._context is None:
            raise JobError(f"{type(self).__name__} isn't running: only a worker gives it an id.")
        return self._context


_DISPATCH_KEYWORDS = frozenset(
    {"queue", "run_at", "tags", "created_by", "depends_on", "on_parent_failure", "params"}
)
# Options and keywords to come; a param of such a name would break with the release that brings it.
_TO_COME = frozenset(
    {
        "about", "limit", "log", "on_conflict", "on_failed", "rate",
        "start_before", "unique", "upgrade_params",
    }
)  # fmt: skip
RESERVED = (
    frozenset(name for name in dir(BaseJob) if not name.startswith("_"))
    | {"spec"}
    | _DISPATCH_KEYWORDS
    | _TO_COME
)


def _request(
    cls: type[BaseJob],
    params: Mapping[str, Any],
    *,
    created_by: Any,
    depends_on: Iterable[JobStatus | UUID],
    **options: Any,
) -> Request:
    return Request(
        spec=_spec_of(cls),
        params=params,
        created_by_id=getattr(created_by, "pk", created_by),
        depends_on=bonds.parent_ids(depends_on) if depends_on else (),
        **options,
    )


def _spec_of(cls: type[BaseJob]) -> JobSpec:
    if "spec" not in cls.__dict__:
        raise JobError(f"{cls.__name__} is abstract: dispatch one of its subclasses.")
    return cls.spec
