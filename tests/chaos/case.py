"""The evidence of a run, arranged by job, as the rules ask for it."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime

from tests.chaos.evidence import Attempt, Evidence, Job, Run

TERMINAL = {"completed", "failed", "cancelled"}


class Case:
    """The evidence, arranged by job."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.job_by_id = {job.id: job for job in evidence.jobs}
        self.attempts_by_job: dict[str, list[Attempt]] = defaultdict(list)
        for attempt in sorted(evidence.attempts, key=lambda one: one.claim):
            self.attempts_by_job[attempt.job_id].append(attempt)
        self.runs_by_job: dict[str, list[Run]] = defaultdict(list)
        for run in sorted(evidence.runs, key=lambda one: one.claim):
            self.runs_by_job[run.job_id].append(run)
        self.attempt_by_claim = {(one.job_id, one.claim): one for one in evidence.attempts}
        self.job_by_token = {job.token: job for job in evidence.jobs if job.token}
        self.parents_by_job = self._parents()
        self.seen_ends_by_job: dict[str, list[datetime]] = defaultdict(list)
        for asked in evidence.requests:
            for job_id, ended_at in zip(asked.job_ids, asked.ended_at, strict=False):
                self.seen_ends_by_job[job_id].append(ended_at)
        self.retries = Counter(self._asked("retry"))
        self.cancels = Counter(self._asked("cancel"))

    def _parents(self) -> dict[str, list[tuple[Job, str]]]:
        """By job: each parent, with what its failure is to do. What wasn't committed has none."""
        parents: dict[str, list[tuple[Job, str]]] = defaultdict(list)
        for edge in (edge for unit in self.evidence.units for edge in unit.edges):
            child, parent = (self.job_by_token.get(one) for one in (edge.child, edge.parent))
            if child and parent:
                parents[child.id].append((parent, edge.on_failure))
        return parents

    def _asked(self, verb: str) -> list[str]:
        # One whose answer was lost may stand.
        return [
            job_id for one in self.evidence.requests if one.do == verb for job_id in one.job_ids
        ]

    def completed(self, job: Job) -> list[Attempt]:
        """The job's completed attempts."""
        return [one for one in self.attempts_by_job[job.id] if one.outcome == "completed"]

    def describe(self, job: Job) -> str:
        """The job with all its attempts and runs, for people."""
        attempts = "; ".join(map(str, self.attempts_by_job[job.id])) or "none"
        runs = ", ".join(
            f"claim {one.claim} {'done' if one.ends else 'begun'}"
            for one in self.runs_by_job[job.id]
        )
        return f"{job} {job.error!r}; attempts: {attempts}; runs: {runs or 'none'}"
