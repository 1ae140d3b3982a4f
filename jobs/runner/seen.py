"""What a runner holds, as its board shows it at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Attempt(NamedTuple):
    """An attempt that a runner has started."""

    job_id: str
    claim: int  # 0: of a plain rq job
    job_class: str
    attempt: int
    timeout_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The board at one moment. Jobs are counted from the batch's first."""

    taken: tuple[str, ...] = ()  # entry ids that were claimed and are not yet started
    batch: tuple[Attempt, ...] = ()  # started, and neither settled nor given back
    serial: int = 0  # which batch; grows by one with each
    limit: int = 0  # how many of its jobs may begin
    begun: int = 0
    done: int = 0  # the job's own code has returned, for so many
    memory_mark: int = 0  # bytes; of the job that began last
    opened_at: float = 0.0  # time.monotonic(), of the batch
    began_at: float = 0.0  # of the job that began last
    done_at: float = 0.0  # of the job that was done last
    worked_at: float = 0.0  # something was claimed, started or settled
    idle_at: float = 0.0  # nothing was found in the queues

    @property
    def is_idle(self) -> bool:
        """Whether nothing was found since its last job."""
        return self.idle_at > self.worked_at

    @property
    def is_running(self) -> bool:
        """Whether a job's own code is on the stack."""
        return self.begun > self.done

    @property
    def may_begin(self) -> bool:
        """Whether another job of the batch may begin."""
        return self.limit > self.begun

    @property
    def running(self) -> Attempt | None:
        """The attempt whose own code is on the stack."""
        return self.batch[self.begun - 1] if self.is_running and self.batch else None


NOTHING = Seen()
