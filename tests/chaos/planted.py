"""Made evidence: a run in which all is well, and how a wrong is planted in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.chaos import verdict
from tests.chaos.evidence import Attempt, Evidence, Job, Run, Struck, Tick
from tests.chaos.ledger import COMMITTED, ROLLED_BACK, UNKNOWN, Edge, Request, Unit
from tests.chaos.plan import Kind

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
EVERY = timedelta(seconds=2)


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def job(name: str, **fields: Any) -> Job:
    values: dict[str, Any] = {
        "id": name,
        "token": name,
        "job_class": "Quick",
        "status": "completed",
        "attempt": 1,
        "finished_at": at(100),
    }
    return Job(**values | fields)


def attempt(name: str, claim: int = 1, **fields: Any) -> Attempt:
    values: dict[str, Any] = {
        "job_id": name,
        "claim": claim,
        "number": claim,
        "outcome": "completed",
        "status": "completed",
        "started_at": at(claim),
        "ended_at": at(claim + 0.5),
        "result_of": claim,
    }
    return Attempt(**values | fields)


def lost(name: str, claim: int) -> Attempt:
    return attempt(name, claim, outcome="failed", status="retrying", error_class="WorkerLost")


def done(name: str, claim: int = 1) -> Run:
    return Run(job_id=name, claim=claim, ends=1)


def begun(name: str, claim: int = 1) -> Run:
    return Run(job_id=name, claim=claim)


def unit(*tokens: str, end: str = COMMITTED) -> Unit:
    return Unit(tokens=tokens, end=end)


def tick(seconds: float, **fields: Any) -> Tick:
    values: dict[str, Any] = {
        "schedule": "often",
        "logical_time": at(seconds),
        "created_at": at(seconds + 0.1),
        "outcome": "dispatched",
        "job_id": f"tick-{seconds:g}",
    }
    return Tick(**values | fields)


def ticked(seconds: float, **fields: Any) -> Evidence:
    """The job of a tick, its run and its attempt."""
    name = f"tick-{seconds:g}"
    values: dict[str, Any] = {"schedule": "often", "logical_time": at(seconds), "token": ""}
    return Evidence(
        jobs=(job(name, **values | fields),),
        attempts=(attempt(name),),
        runs=(done(name),),
        ticks=(tick(seconds),),
    )


def late(seconds: float, *, by: float) -> Evidence:
    """A moment that was made late."""
    return replace(ticked(seconds), ticks=(tick(seconds, created_at=at(seconds + by)),))


def skipped(seconds: float, *, by: float) -> Evidence:
    """A moment that was skipped when somebody came."""
    gone = tick(seconds, created_at=at(seconds + by), outcome="skipped", job_id=None)
    return Evidence(ticks=(gone,))


def struck(kind: Kind, begin: float, end: float) -> Struck:
    return Struck(kind=kind, hit="", begun_at=at(begin).timestamp(), ended_at=at(end).timestamp())


SOUND = Evidence(
    jobs=(
        job("plain"),
        job("once", job_class="Once", max_attempts=1),
        job("atomic", job_class="Booking", attempt=2),
        job("mark", job_class="Mark"),
        job(
            "doomed",
            job_class="Doomed",
            status="failed",
            max_attempts=2,
            attempt=2,
            error="RuntimeError",
        ),
        job("quitter", job_class="Quitter", status="cancelled"),
        job("waiting", status="cancelled", attempt=0),
        job("twice", attempt=2),
        job("again", attempt=2),
    ),
    attempts=(
        attempt("plain"),
        attempt("once"),
        lost("atomic", 1),
        attempt("atomic", 2),
        attempt("mark"),
        attempt("doomed", 1, outcome="failed", status="retrying", error_class="RuntimeError"),
        attempt("doomed", 2, outcome="failed", status="failed", error_class="RuntimeError"),
        attempt("quitter", outcome="cancelled", status="cancelled"),
        lost("twice", 1),
        attempt("twice", 2),
        attempt("again", 1),
        attempt("again", 2),
    ),
    runs=(
        done("plain"),
        done("once"),
        begun("atomic", 1),
        done("atomic", 2),
        done("mark"),
        begun("doomed", 1),
        begun("doomed", 2),
        begun("quitter"),
        done("twice", 1),
        done("twice", 2),
        done("again", 1),
        done("again", 2),
    ),
    writes=(("atomic", 2),),
    marks=(("mark", 1),),
    struck=(
        struck(Kind.KILL_RUNNER, 1.2, 1.2),
        struck(Kind.CUT_POSTGRES, 1.3, 1.3),
        struck(Kind.FLUSH_REDIS, 60, 60),
    ),
    units=(
        unit("plain", "once", "atomic", "mark", "doomed", "quitter", "waiting"),
        unit("twice"),
        unit("again"),
        unit("never", end=ROLLED_BACK),
        unit("perhaps", "likewise", end=UNKNOWN),
    ),
    requests=(
        Request(do="cancel", job_ids=("waiting",), end=COMMITTED, moved=("waiting",)),
        Request(do="retry", job_ids=("again",), end=COMMITTED, moved=("again",)),
    ),
)


# One parent fails, and of its two dependents one runs all the same; another lives again.
FLOW = Evidence(
    jobs=(
        job("frail", job_class="Frail", status="failed", max_attempts=1),
        job("cut", status="cancelled", attempt=0, error="cancelled: Frail frail failed"),
        job("all-the-same"),
        job("revived-parent", job_class="Frail", attempt=2, max_attempts=2),
        job("revived"),
    ),
    attempts=(
        attempt("frail", outcome="failed", status="failed", error_class="ConnectionError"),
        attempt("all-the-same", started_at=at(2), ended_at=at(3)),
        attempt("revived-parent", outcome="failed", status="failed", error_class="ConnectionError"),
        attempt("revived-parent", 2, started_at=at(20), ended_at=at(21)),
        attempt("revived", started_at=at(22), ended_at=at(23)),
    ),
    runs=(
        begun("frail"),
        done("all-the-same"),
        begun("revived-parent"),
        done("revived-parent", 2),
        done("revived"),
    ),
    units=(
        Unit(
            tokens=("frail", "cut", "all-the-same"),
            end=COMMITTED,
            edges=(Edge("cut", "frail", "cancel"), Edge("all-the-same", "frail", "run")),
        ),
        Unit(
            tokens=("revived-parent", "revived"),
            end=COMMITTED,
            edges=(Edge("revived", "revived-parent", "cancel"),),
        ),
    ),
    requests=(
        Request(
            do="retry",
            job_ids=("revived-parent",),
            end=COMMITTED,
            moved=("revived-parent",),
            ended_at=(at(1.5),),
        ),
    ),
)


def rules(evidence: Evidence) -> set[str]:
    return {wrong.rule for wrong in verdict.judge(evidence)}


def having(**more: Any) -> Evidence:
    """The sound evidence with more of something."""
    return replace(SOUND, **{name: getattr(SOUND, name) + items for name, items in more.items()})


def without(name: str, kind: str, key: str = "job_id") -> Evidence:
    """The sound evidence without what concerns one job."""
    kept = tuple(one for one in getattr(SOUND, kind) if getattr(one, key) != name)
    assert len(kept) < len(getattr(SOUND, kind))
    return replace(SOUND, **{kind: kept})


def changed(name: str, of: Evidence = SOUND, **fields: Any) -> Evidence:
    """The sound evidence with another row of one job."""
    jobs = tuple(replace(one, **fields) if one.id == name else one for one in of.jobs)
    assert jobs != of.jobs
    return replace(of, jobs=jobs)


def schedule(*parts: Evidence, **more: Any) -> Evidence:
    """Evidence of one schedule alone."""
    return Evidence(
        jobs=tuple(one for part in parts for one in part.jobs),
        attempts=tuple(one for part in parts for one in part.attempts),
        runs=tuple(one for part in parts for one in part.runs),
        ticks=tuple(one for part in parts for one in part.ticks),
        every={"often": EVERY},
        **more,
    )
