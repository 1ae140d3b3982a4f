"""What the jobs that a job depends on have returned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, overload
from uuid import UUID

from jobs.models import JobDependency
from jobs.statuses import Status


class ParentResult(NamedTuple):
    """What became of one parent."""

    name: str  # its step's, else its job class
    job_id: UUID
    status: str
    result: Any  # None where it hasn't completed


class ParentResults(Sequence[Any]):
    """The results in the order of `depends_on`; one of them by number or by name.

    A parent is named by its step, and outside of a workflow by its job class.
    """

    def __init__(self, parents: Sequence[ParentResult]) -> None:
        self.parents = tuple(parents)

    @overload
    def __getitem__(self, key: int | str) -> Any: ...
    @overload
    def __getitem__(self, key: slice) -> list[Any]: ...
    def __getitem__(self, key: int | str | slice) -> Any:
        if isinstance(key, str):
            return self._named(key).result
        if isinstance(key, slice):
            return [parent.result for parent in self.parents[key]]
        return self.parents[key].result

    def __len__(self) -> int:
        return len(self.parents)

    def __repr__(self) -> str:
        return f"ParentResults({', '.join(parent.name for parent in self.parents)})"

    @property
    def failed(self) -> list[str]:
        """The names of those that haven't completed: of jobs that run all the same."""
        return [one.name for one in self.parents if one.status != Status.COMPLETED]

    def _named(self, name: str) -> ParentResult:
        found = [parent for parent in self.parents if parent.name == name]
        if len(found) == 1:
            return found[0]
        names = ", ".join(parent.name for parent in self.parents) or "none"
        if found:
            raise KeyError(f"{len(found)} parents are named {name}: take them by number. {names}")
        raise KeyError(f"No parent is named {name}. There are: {names}")


def read(job_id: UUID) -> ParentResults:
    """Return what the parents of a job have returned: one statement, by primary keys."""
    rows = JobDependency.objects.filter(job=job_id).order_by("number")
    return ParentResults(
        [
            ParentResult(step or job_class, parent_id, status, result)
            for step, job_class, parent_id, status, result in rows.values_list(
                "parent_step", "parent__job_class", "parent_id", "parent__status", "parent__result"
            )
        ]
    )
