"""The rules of a chaos run. Each looks for one kind of wrong; none of them trusts another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain

from tests.chaos import backfills, causes, dependents, loads, ticks
from tests.chaos.case import TERMINAL, Case
from tests.chaos.evidence import Attempt, Claim, Evidence, Job
from tests.chaos.ledger import COMMITTED, ROLLED_BACK

# What spends no attempt.
FREE = {"snoozed", "given_back"}
# An attempt that came to its job's end and was still not recorded as completed was one of these.
CUT_SHORT = {"WorkerLost", "LoopHeld", "Interrupted", "TimedOut"}
RACE = timedelta(seconds=3)
ATOMIC, CANCELS_ITSELF = "Booking", "Quitter"
MARKING = {"Mark", "AsyncMark"}
ONE_ATTEMPT = {"Once", "AsyncOnce"}
LOSSES = {"WorkerLost", "LoopHeld"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """A broken rule, and the rows that break it."""

    rule: str
    what: str


Rule = Callable[[Case], Iterator[str]]


def judge(evidence: Evidence) -> list[Wrong]:
    """Return every broken rule; empty: nothing was lost, and nothing silently ran twice."""
    case = Case(evidence)
    found = [
        Wrong(rule=(rule.__doc__ or "").strip(), what=what) for rule in RULES for what in rule(case)
    ]
    others = (
        ticks.wrongs(evidence),
        causes.wrongs(evidence),
        dependents.wrongs(case),
        loads.wrongs(case),
        backfills.wrongs(case),
    )
    for text, what in chain.from_iterable(others):
        found.append(Wrong(rule=text, what=what))
    return found


def _committed_exist_once(case: Case) -> Iterator[str]:
    """Every committed dispatch is one row; what was rolled back is none; the rest is whole."""
    count = Counter(job.token for job in case.evidence.jobs if not job.schedule)
    known = {token for unit in case.evidence.units for token in unit.tokens}
    for unit in case.evidence.units:
        rows = [count[token] for token in unit.tokens]
        allowed = {COMMITTED: ({1},), ROLLED_BACK: ({0},)}.get(unit.end, ({0}, {1}))
        if set(rows) not in allowed:
            yield f"{unit.end}: {dict(zip(unit.tokens, rows, strict=True))} rows"
    for job in case.evidence.jobs:
        if not job.schedule and job.token not in known:
            yield f"nobody dispatched {job}"


def _all_terminal(case: Case) -> Iterator[str]:
    """Every job is terminal, and says when it ended."""
    for job in case.evidence.jobs:
        if job.status not in TERMINAL or job.finished_at is None:
            yield case.describe(job)


def _completed_once(case: Case) -> Iterator[str]:
    """A job is completed once, unless a person had it run again, and then by its last attempt."""
    for job in case.evidence.jobs:
        completed, attempts = case.completed(job), case.attempts_by_job[job.id]
        is_too_often = len(completed) > 1 + case.retries[job.id]
        is_unsaid = bool(completed) and job.status != "completed" and not case.retries[job.id]
        is_unfounded = job.status == "completed" and not (
            attempts and attempts[-1].outcome == "completed"
        )
        if is_too_often or is_unsaid or is_unfounded:
            yield case.describe(job)


def _attempts_add_up(case: Case) -> Iterator[str]:
    """The attempts of a job are those its row counts, each with a claim of its own."""
    for job in case.evidence.jobs:
        attempts = case.attempts_by_job[job.id]
        spent = [one for one in attempts if one.outcome not in FREE]
        claims = {one.claim for one in attempts}
        if len(spent) != job.attempt or len(claims) != len(attempts):
            yield f"its row counts {job.attempt}: {case.describe(job)}"
    for attempt in case.evidence.attempts:
        if attempt.job_id not in case.job_by_id:
            yield f"an attempt of no job: {attempt.job_id} {attempt}"


def _nothing_after_the_end(case: Case) -> Iterator[str]:
    """No attempt begins after its job has ended."""
    for job in case.evidence.jobs:
        for attempt in case.attempts_by_job[job.id]:
            if job.finished_at is not None and attempt.started_at > job.finished_at:
                yield case.describe(job)


def _runs_are_recorded(case: Case) -> Iterator[str]:
    """Every run has its attempt and ran once under it; every completed attempt has its run."""
    for run in case.evidence.runs:
        is_known = (run.job_id, run.claim) in case.attempt_by_claim
        if not is_known or run.begins > 1 or run.ends > 1:
            yield f"claim {run.claim} of {run.job_id}: {run.begins} begun, {run.ends} ended"
    done = {(run.job_id, run.claim) for run in case.evidence.runs if run.ends}
    for claim, attempt in case.attempt_by_claim.items():
        if attempt.outcome == "completed" and claim not in done:
            yield f"completed without having run: {attempt.job_id} {attempt}"


def _results_are_their_own(case: Case) -> Iterator[str]:
    """A completed attempt bears the result of its own run, not of one that came too late."""
    for attempt in case.evidence.attempts:
        if attempt.outcome == "completed" and attempt.result_of != attempt.claim:
            yield f"the result of claim {attempt.result_of}: {attempt.job_id} {attempt}"


def _doubles_are_explained(case: Case) -> Iterator[str]:
    """Work that was done twice was recorded as lost, interrupted or given back in between."""
    for job in doubles(case):
        for run in case.runs_by_job[job.id]:
            attempt = case.attempt_by_claim.get((run.job_id, run.claim))
            if run.ends and attempt is not None and not _explains(attempt):
                yield case.describe(job)


def doubles(case: Case) -> list[Job]:
    """Return the jobs whose work was done more often than they were asked to do it.

    What an atomic job did before its commit failed was taken back: its writes have their own rule.
    """
    return [
        job
        for job in case.evidence.jobs
        if job.job_class != ATOMIC
        and sum(run.ends for run in case.runs_by_job[job.id]) > 1 + case.retries[job.id]
    ]


def _explains(attempt: Attempt) -> bool:
    if attempt.outcome == "completed":
        return True  # how often is another rule's
    return attempt.outcome in {"given_back", "cancelled"} or attempt.error_class in CUT_SHORT


def _failures_are_earned(case: Case) -> Iterator[str]:
    """A job fails when its attempts are used up, or after it has lost max_losses workers."""
    for job in case.evidence.jobs:
        if job.status != "failed":
            continue
        attempts = case.attempts_by_job[job.id]
        losses = sum(one.error_class in LOSSES for one in attempts)
        is_used_up = bool(attempts) and attempts[-1].number >= job.max_attempts
        is_lethal = losses >= case.evidence.max_losses and "workers" in job.error
        if not (is_used_up or is_lethal) or attempts[-1].outcome != "failed":
            yield case.describe(job)


def _cancels_are_asked(case: Case) -> Iterator[str]:
    """A job is cancelled by a person, itself or a parent, and a person's cancel is never undone."""
    for job in case.evidence.jobs:
        attempts = case.attempts_by_job[job.id]
        by_itself = job.job_class == CANCELS_ITSELF and bool(attempts)
        by_parent = dependents.may_be_cut(case, job)
        if job.status == "cancelled" and not (by_itself or by_parent or case.cancels[job.id]):
            yield f"nobody cancelled it: {case.describe(job)}"
    for request in case.evidence.requests:
        for job_id in request.moved if request.do == "cancel" else ():
            job = case.job_by_id.get(job_id)
            if job is None or job.status != "cancelled":
                yield f"its cancel was undone: {case.describe(job) if job else job_id}"


def _cancels_are_final(case: Case) -> Iterator[str]:
    """A job whose cancel was asked for ends completed or cancelled, and begins nothing after it."""
    for job in case.evidence.jobs:
        if job.cancel_requested_at is None:
            continue
        # An attempt that was about to start may win the race for the row, and then is asked.
        latest = job.cancel_requested_at + RACE
        begun = [one for one in case.attempts_by_job[job.id] if one.started_at > latest]
        if job.status == "failed" or begun:
            yield f"asked at {job.cancel_requested_at}: {case.describe(job)}"


def _atomic_writes_stand_once(case: Case) -> Iterator[str]:
    """An atomic job's write stands if and only if the attempt that made it is completed."""
    count = Counter(case.evidence.writes)
    wanted = {
        (job.id, one.claim): 1
        for job in case.evidence.jobs
        if job.job_class == ATOMIC
        for one in case.completed(job)
    }
    for claim in sorted(count.keys() | wanted.keys()):
        if count[claim] != wanted.get(claim, 0):
            yield f"{count[claim]} writes of claim {claim[1]}: {_describe_claim(case, claim)}"


def _marks_are_recorded(case: Case) -> Iterator[str]:
    """Each attempt's own commit stands at most once, and surely where the attempt completed."""
    count = Counter(case.evidence.marks)
    for job in case.evidence.jobs:
        if job.job_class in MARKING:
            for one in case.completed(job):
                if count[job.id, one.claim] != 1:
                    yield f"{count[job.id, one.claim]} marks: {case.describe(job)}"
    for claim, marks in count.items():
        if marks > 1 or claim not in case.attempt_by_claim:
            yield f"{marks} marks of claim {claim[1]}: {_describe_claim(case, claim)}"


def _one_attempt_runs_once(case: Case) -> Iterator[str]:
    """A job with one attempt never runs twice, unless a person had it run again."""
    for job in case.evidence.jobs:
        runs = len(case.runs_by_job[job.id])
        if job.job_class in ONE_ATTEMPT and runs > 1 + case.retries[job.id]:
            yield case.describe(job)


def _nothing_is_left(case: Case) -> Iterator[str]:
    """No entry and no claim is left in Redis."""
    yield from case.evidence.leftovers


def _nobody_left(case: Case) -> Iterator[str]:
    """No process ends unless it is told to, and then it does."""
    for one in case.evidence.exits:
        end = "did not stop" if one.code is None else f"ended with {one.code}"
        yield f"{one.name} {end}: see {one.name}.log"


def _describe_claim(case: Case, claim: Claim) -> str:
    job = case.job_by_id.get(claim[0])
    return case.describe(job) if job else f"no job {claim[0]}"


RULES: Sequence[Rule] = (
    _committed_exist_once,
    _all_terminal,
    _completed_once,
    _attempts_add_up,
    _nothing_after_the_end,
    _runs_are_recorded,
    _results_are_their_own,
    _doubles_are_explained,
    _failures_are_earned,
    _cancels_are_asked,
    _cancels_are_final,
    _atomic_writes_stand_once,
    _marks_are_recorded,
    _one_attempt_runs_once,
    _nothing_is_left,
    _nobody_left,
)
