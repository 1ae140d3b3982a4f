"""What an author of an import writes against: EtlJob."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import Any, ClassVar, TypeVar

from django.db import transaction

from jobs import declaring
from jobs.base import BaseJob
from jobs.errors import InvalidCheckpoint, TooManyRejected
from jobs.lifecycle import checkpoint, rejected
from jobs.lifecycle.checkpoint import Checkpoint, Counts
from jobs.lifecycle.rejected import Rejected, RejectedRow
from jobs.runner import ending
from jobs.values import value

# A batch of a slow source is loaded when it is so old, however few rows it has.
LONGEST_GATHER_SECONDS = 10.0

__all__ = ["Counts", "EtlJob", "Reject", "numbered"]

Row = TypeVar("Row")


class Reject(Exception):
    """Raise in an EtlJob's `transform`: leave this row out, keep it with the reason, go on.

    Args:
        reason: Why, in one line for people.
        row: What is kept of the row in its place; None: nothing of it.
    """

    def __init__(self, reason: str, *, row: Any = ...) -> None:
        super().__init__(reason)
        self.reason = reason
        self.row = row


def numbered(rows: Iterable[Row], after: int | None) -> Iterator[tuple[Row, int]]:
    """Yield each of `rows` with its number, from 1, as `extract` does; those up to `after` not.

    For a source that can only be read from its start: what was loaded is read again, and passed
    over.
    """
    skipped = after or 0
    for number, row in enumerate(islice(rows, skipped, None), start=skipped + 1):
        yield row, number


class EtlJob(BaseJob):
    """Extract rows, transform each, load them in batches; what is loaded stays loaded.

    After each batch the position of its last row is recorded, in the transaction of its load: an
    attempt that is killed, interrupted or fails is followed by one that goes on from there.

        class LoadRates(EtlJob):
            path: str

            def extract(self, after):
                with open(self.path) as lines:
                    yield from numbered(lines, after)

            def transform(self, line):
                ...                        # the row to load; None leaves it out
                raise Reject("why")        # leaves it out, and keeps it with the reason

            def load(self, rows):
                Rate.objects.bulk_create(rows)

    The result holds the numbers of rows in, out and rejected, and what `finish` returns.
    """

    abstract = True

    batch_size: ClassVar[int] = 1_000  # rows read between two checkpoints
    # Where rows are str or bytes: so many of these end a batch as well.
    batch_length: ClassVar[int | None] = None
    # More than so many rejected rows, or as a float more than this share of them, fail the job.
    max_rejected: ClassVar[float | None] = None
    # False: no position is recorded, each attempt begins from the start.
    resumable: ClassVar[bool] = True

    _run: ClassVar[_Run]
    _place: ClassVar[str] = "row"  # what a position is called in an error

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # To try again changes nothing about the rows.
        cls.discard_on = tuple(dict.fromkeys([*cls.discard_on, TooManyRejected]))
        params = {
            name
            for name, annotation in inspect.get_annotations(cls).items()
            if not str(annotation).startswith(("ClassVar", "typing.ClassVar"))
        }
        declaring.refuse_import(cls, params, taken=_TAKEN)
        super().__init_subclass__(**kwargs)

    # --- The author's half ---

    def extract(self, after: Any) -> Iterable[tuple[Any, Any]]:
        """Yield each row with its position, in an order that is the same at every attempt.

        Args:
            after: The position up to which rows are loaded; begin behind it. None: at the start.
        """
        raise NotImplementedError

    def transform(self, row: Any) -> Any:
        """Return what `load` is to have of a row; None leaves it out.

        Raises:
            Reject: The row is left out, counted, and kept with the reason.
        """
        return row

    def load(self, rows: list[Any]) -> int | None:
        """Write a batch, in a transaction that also holds its checkpoint.

        Returns:
            How many of the rows now stand in the target; None: all of them.
        """
        raise NotImplementedError

    def finish(self, counts: Counts) -> dict[str, Any] | None:  # noqa: ARG002 - the author's
        """Do what is left once all batches are loaded, in one transaction with the result.

        Returns:
            What the result holds beside the rows' numbers.
        """
        return None

    def reject(self, row: Any, reason: str, *, position: Any = None) -> None:
        """Count a row as rejected and keep it; in `load` or `finish`, where raising is too late."""
        self._run.rejected.add([RejectedRow(position=position, row=row, reason=reason)])

    # --- Ours ---

    def __post_init__(self) -> None:
        """Refuse, at dispatch already, options that make no sense, where they are params."""
        _refuse_wrong_values(self)

    def _perform(self) -> dict[str, Any]:
        _refuse_wrong_values(self)  # an author's own __post_init__ takes the place of ours
        begun = self._begun()
        if begun.result is not None:
            return begun.result  # an attempt before did all but record its end
        run = vars(self)["_run"] = _Run(
            begun, Rejected(self.max_rejected, begun.counts.rows_rejected, place=self._place)
        )
        with ExitStack() as until_read:
            extracted = iter(self.extract(begun.position))
            if close := getattr(extracted, "close", None):
                until_read.callback(close)
            while batch := self._gathered(extracted):
                with self._step():
                    self._load_batch(batch)
                self.progress(run.rows_in, None, str(run.counts()))
        with self._step():
            return self._finished()

    def _begun(self) -> Checkpoint:
        if self._context is None:
            return _NOTHING
        job = self._context.job
        with transaction.atomic():
            begun = checkpoint.take_over(job)
            if begun.result is not None:
                return begun
            if begun.position is None:
                checkpoint.record(job, None, counts=Counts())
                begun = _NOTHING
            rejected.drop(job, after=begun.counts.rows_rejected)
        return begun

    def _gathered(self, extracted: Iterator[tuple[Any, Any]]) -> _Batch | None:
        run, transform, longest = self._run, self.transform, self.batch_length
        rows: list[Any] = []
        rows_in = length = 0
        position = None
        until = time.monotonic() + LONGEST_GATHER_SECONDS
        for row, position in islice(extracted, self.batch_size):
            rows_in += 1
            try:
                ready = transform(row)
            except Reject as error:
                run.reject(row, error, position)
            else:
                if ready is not None:
                    rows.append(ready)
                    length += len(ready) if longest is not None else 0
            if (longest is not None and length >= longest) or time.monotonic() >= until:
                break
        return _Batch(rows_in=rows_in, rows=rows, position=position) if rows_in else None

    @contextmanager
    def _step(self) -> Iterator[None]:
        """One transaction; where too many were rejected nothing of it stays but their rows."""
        run = self._run
        try:
            with transaction.atomic():
                yield
        except TooManyRejected:
            if self._context is not None:
                with transaction.atomic():
                    checkpoint.take_over(self._context.job)
                    run.rejected.write(self._context.job)
            raise

    def _load_batch(self, batch: _Batch) -> None:
        run = self._run
        run.rows_in += batch.rows_in
        run.rejected.refuse_too_many(run.rows_in)
        if batch.rows:
            loaded = self.load(batch.rows)
            run.rows_out += len(batch.rows) if loaded is None else loaded
            run.rejected.refuse_too_many(run.rows_in)
        if self.resumable and batch.position is None:
            raise InvalidCheckpoint(
                f"{type(self).__name__}: extract yielded a row without a position. Yield "
                "(row, position), or set resumable = False: then each attempt begins at the start."
            )
        run.position = batch.position if self.resumable else None
        self._record()

    def _finished(self) -> dict[str, Any]:
        run = self._run
        more = self.finish(run.counts()) or {}
        run.rejected.refuse_too_many(run.rows_in, is_end=True)
        counts = run.counts()
        result = {
            "rows_in": counts.rows_in,
            "rows_out": counts.rows_out,
            "rows_rejected": counts.rows_rejected,
            **more,
        }
        ending.completed(result)  # raises: what can't be a result isn't recorded as one
        self._record(result)
        return result

    def _record(self, result: dict[str, Any] | None = None) -> None:
        run, job = self._run, None if self._context is None else self._context.job
        if job is not None:
            checkpoint.record(job, run.position, counts=run.counts(), result=result)
        run.rejected.write(job)


_NOTHING = Checkpoint(position=None, counts=Counts(), result=None)


@value
class _Batch:
    rows_in: int
    rows: list[Any]
    position: Any  # of the last row that was read


class _Run:
    """How far the running attempt is."""

    def __init__(self, begun: Checkpoint, rejected: Rejected) -> None:
        self.rows_in = begun.counts.rows_in
        self.rows_out = begun.counts.rows_out
        self.position = begun.position
        self.rejected = rejected

    def counts(self) -> Counts:
        return Counts(
            rows_in=self.rows_in, rows_out=self.rows_out, rows_rejected=self.rejected.count
        )

    def reject(self, row: Any, error: Reject, position: Any) -> None:
        kept = row if error.row is ... else error.row
        self.rejected.add([RejectedRow(position=position, row=kept, reason=error.reason)])


# As params they are options that whoever dispatches may choose.
_MAY_BE_PARAMS = {"batch_size", "max_rejected"}
_TAKEN = {name for name in vars(EtlJob) if not name.startswith("_")} - _MAY_BE_PARAMS


def _refuse_wrong_values(job: EtlJob) -> None:
    fault = declaring.import_fault(batch_size=job.batch_size, max_rejected=job.max_rejected)
    if fault:
        raise ValueError(fault)
