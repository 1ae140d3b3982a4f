"""What new jobs have to do with other jobs: which they depend on, and whether these have ended."""

from __future__ import annotations

from collections.abc import Iterable, Set
from uuid import UUID

from jobs.errors import InvalidOption, UnknownParent
from jobs.models import JobStatus
from jobs.statuses import OnParentFailure, Status
from jobs.values import value

MAX_PARENTS = 1_000  # of one job


@value
class Bond:
    """Of one job."""

    step: str = ""  # its name in its workflow
    depends_on: tuple[UUID, ...] = ()
    on_parent_failure: OnParentFailure = OnParentFailure.CANCEL
    is_held: bool = False  # some of those had not completed when they were looked at
    has_dependents: bool = False


FREE = Bond()


@value
class Bonds:
    """Of the jobs of one dispatch."""

    inside: Set[UUID]  # parents that it makes itself
    outside: Set[UUID]  # parents that there are
    completed: Set[UUID]  # of these

    def bond(
        self,
        *,
        job_id: UUID | None,
        step: str,
        depends_on: tuple[UUID, ...],
        on_parent_failure: str,
    ) -> Bond:
        """Return the bond of one of its jobs.

        Raises:
            InvalidOption: It depends on too many, or on itself, or `on_parent_failure` is no word.
        """
        depends_on = tuple(dict.fromkeys(depends_on))
        if len(depends_on) > MAX_PARENTS:
            raise InvalidOption(f"depends_on names {len(depends_on)} jobs, at most {MAX_PARENTS}.")
        if job_id in depends_on:
            raise InvalidOption("A job can't depend on itself.")
        if on_parent_failure not in set(OnParentFailure):
            raise InvalidOption('on_parent_failure must be "cancel" or "run".')
        return Bond(
            step=step,
            depends_on=depends_on,
            on_parent_failure=OnParentFailure(on_parent_failure),
            is_held=not self.completed >= set(depends_on),
            has_dependents=job_id in self.inside,
        )


def parent_ids(jobs: Iterable[JobStatus | UUID | str]) -> tuple[UUID, ...]:
    """Return the ids of `jobs`, which are jobs, ids, or ids as texts.

    Raises:
        InvalidOption: They are none, or no list.
    """
    if isinstance(jobs, JobStatus | UUID | str):
        raise InvalidOption("depends_on must be a list of jobs or ids: [job].")
    return tuple(job.id if isinstance(job, JobStatus) else _id(job) for job in jobs)


def _id(text: UUID | str) -> UUID:
    try:
        return text if isinstance(text, UUID) else UUID(text)
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidOption(f"depends_on must hold jobs or their ids, not {text!r}.") from error


def read(*, made: Set[UUID], named: Set[UUID]) -> Bonds:
    """Return the bonds of a dispatch: one statement where it depends on jobs that there are.

    Locks nothing: a parent's row held until the caller commits would hold up its own end.

    Args:
        made: The ids of the jobs that the dispatch makes, as far as they are known.
        named: The parents of all of them.

    Raises:
        UnknownParent: A parent is neither made nor there.
    """
    outside = named - made
    status_by_id = dict(JobStatus.objects.filter(id__in=outside).values_list("id", "status"))
    if len(status_by_id) < len(outside):
        raise UnknownParent(sorted(outside - status_by_id.keys()))
    return Bonds(
        inside=named & made,
        outside=outside,
        completed={each for each, status in status_by_id.items() if status == Status.COMPLETED},
    )
