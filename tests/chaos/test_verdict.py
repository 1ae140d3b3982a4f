"""A check that can't fail is worthless: each rule finds the wrong that is planted for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.chaos import causes, report, ticks, verdict
from tests.chaos.evidence import Evidence, Exit, Run
from tests.chaos.plan import Kind
from tests.chaos.planted import (
    SOUND,
    at,
    attempt,
    begun,
    changed,
    done,
    having,
    job,
    late,
    lost,
    rules,
    schedule,
    skipped,
    struck,
    tick,
    ticked,
    unit,
    without,
)


def test_nothing_is_wrong_with_what_is_sound():
    assert verdict.judge(SOUND) == []
    assert report.lost(SOUND) == 0


@pytest.mark.parametrize(
    ("rule", "evidence"),
    [
        pytest.param(verdict._committed_exist_once, evidence, id=name)
        for name, evidence in {
            "a committed dispatch is gone": without("plain", "jobs", "id"),
            "one of a transaction's is gone": without("mark", "jobs", "id"),
            "a dispatch became two": having(jobs=(job("other", token="plain"),)),
            "what was rolled back exists": having(jobs=(job("never"),)),
            "half of an unknown one exists": having(jobs=(job("perhaps"),)),
            "nobody dispatched it": having(jobs=(job("stray"),)),
        }.items()
    ]
    + [
        pytest.param(verdict._all_terminal, changed("plain", status=status), id=status)
        for status in ("scheduled", "waiting", "queued", "started", "retrying")
    ]
    + [
        pytest.param(verdict._all_terminal, changed("plain", finished_at=None), id="no end"),
    ]
    + [
        pytest.param(verdict._completed_once, evidence, id=name)
        for name, evidence in {
            "completed twice": having(attempts=(attempt("plain", 2),)),
            "completed thrice for one retry": having(attempts=(attempt("again", 3),)),
            "completed and then failed": changed("plain", status="failed"),
            "completed without an attempt": without("plain", "attempts"),
            "completed by an attempt that failed": having(attempts=(lost("plain", 2),)),
        }.items()
    ]
    + [
        pytest.param(verdict._attempts_add_up, evidence, id=name)
        for name, evidence in {
            "an attempt left no row": changed("plain", attempt=2),
            "an attempt is not counted": having(attempts=(lost("plain", 0),)),
            "a snooze spent one": having(
                attempts=(attempt("never", 1, outcome="snoozed"),), jobs=(job("never"),)
            ),
            "two attempts of one claim": having(attempts=(attempt("plain", outcome="given_back"),)),
            "an attempt of no job": having(attempts=(attempt("nobody"),)),
        }.items()
    ]
    + [
        pytest.param(
            verdict._nothing_after_the_end,
            having(attempts=(attempt("waiting", started_at=at(101)),)),
            id="a cancelled job ran",
        )
    ]
    + [
        pytest.param(verdict._runs_are_recorded, evidence, id=name)
        for name, evidence in {
            "a run without an attempt": having(runs=(done("plain", 2),)),
            "one claim ran twice": having(runs=(Run(job_id="x", claim=1, begins=2),)),
            "completed without having run": without("plain", "runs"),
            "completed without its end": replace(
                SOUND,
                runs=tuple(
                    replace(one, ends=0) if one.job_id == "plain" else one for one in SOUND.runs
                ),
            ),
        }.items()
    ]
    + [
        pytest.param(
            verdict._results_are_their_own,
            replace(
                SOUND,
                attempts=tuple(
                    replace(one, result_of=1) if one.job_id == "twice" else one
                    for one in SOUND.attempts
                ),
            ),
            id="a late finisher's result stands",
        )
    ]
    + [
        pytest.param(
            verdict._doubles_are_explained,
            replace(
                SOUND,
                attempts=tuple(
                    replace(one, error_class="ConnectionError")
                    if one.job_id == "twice" and one.claim == 1
                    else one
                    for one in SOUND.attempts
                ),
            ),
            id="a double that no loss explains",
        )
    ]
    + [
        pytest.param(verdict._failures_are_earned, evidence, id=name)
        for name, evidence in {
            "with attempts left": changed("doomed", max_attempts=3),
            "after too few losses": changed(
                "doomed", max_attempts=3, error="WorkerLost (it has lost 3 workers)"
            ),
            "without an attempt": changed("waiting", status="failed"),
            "by an attempt that didn't": replace(
                changed("doomed", error="x"),
                attempts=tuple(
                    replace(one, outcome="snoozed") if one.job_id == "doomed" else one
                    for one in SOUND.attempts
                ),
            ),
        }.items()
    ]
    + [
        pytest.param(verdict._cancels_are_asked, evidence, id=name)
        for name, evidence in {
            "nobody asked": changed("plain", status="cancelled"),
            "a cancel was undone": changed("waiting", status="completed"),
            "what was cancelled is gone": without("waiting", "jobs", "id"),
        }.items()
    ]
    + [
        pytest.param(verdict._cancels_are_final, evidence, id=name)
        for name, evidence in {
            "it failed though its cancel was asked": changed("doomed", cancel_requested_at=at(1)),
            "it was tried again": changed("twice", cancel_requested_at=at(-2)),
        }.items()
    ]
    + [
        pytest.param(verdict._atomic_writes_stand_once, evidence, id=name)
        for name, evidence in {
            "the write is missing": replace(SOUND, writes=()),
            "it was written twice": having(writes=(("atomic", 2),)),
            "a lost attempt's write stands": having(writes=(("atomic", 1),)),
            "another's write stands instead": replace(SOUND, writes=(("atomic", 1),)),
            "the write of no job": having(writes=(("nobody", 1),)),
        }.items()
    ]
    + [
        pytest.param(verdict._marks_are_recorded, evidence, id=name)
        for name, evidence in {
            "the mark is missing": replace(SOUND, marks=()),
            "it was made twice": having(marks=(("mark", 1),)),
            "the mark of no attempt": having(marks=(("mark", 7),)),
        }.items()
    ]
    + [
        pytest.param(
            verdict._one_attempt_runs_once,
            having(runs=(begun("once", 2),)),
            id="one attempt, two runs",
        ),
        pytest.param(
            verdict._nothing_is_left,
            replace(SOUND, leftovers=("jobs:claims:x holds 1",)),
            id="a claim is left",
        ),
        pytest.param(
            verdict._nobody_left,
            replace(SOUND, exits=(Exit(name="worker-1", code=1),)),
            id="a worker left",
        ),
    ],
)
def test_each_wrong_is_found_by_its_rule(rule: verdict.Rule, evidence: Evidence):
    assert (rule.__doc__ or "").strip() in rules(evidence)


def test_every_rule_has_a_wrong_planted_for_it():
    marks = test_each_wrong_is_found_by_its_rule.pytestmark
    planted = {parameters.values[0] for parameters in marks[0].args[1]}

    assert planted == set(verdict.RULES)


@pytest.mark.parametrize("status", ["queued", "started", "retrying"])
def test_a_job_that_never_ended_counts_as_lost(status: str):
    assert report.lost(changed("plain", status=status)) == 1


def test_a_job_that_is_gone_counts_as_lost():
    assert report.lost(without("plain", "jobs", "id")) == 1


def test_a_job_may_fail_after_it_has_lost_three_workers():
    deadly = having(
        jobs=(job("deadly", status="failed", attempt=3, error="(it has lost 3 workers)"),),
        attempts=(lost("deadly", 1), lost("deadly", 2), lost("deadly", 3)),
        units=(unit("deadly"),),
    )

    assert verdict.judge(deadly) == []


def test_a_given_back_attempt_explains_a_double():
    evidence = having(
        jobs=(job("back"),),
        attempts=(attempt("back", 1, outcome="given_back", status="queued"), attempt("back", 3)),
        runs=(done("back", 1), done("back", 3)),
        units=(unit("back"),),
    )

    assert verdict.judge(evidence) == []
    assert "jobs done twice, explained by a loss              2" in report.table(evidence)


def test_a_commit_that_failed_took_an_atomic_jobs_work_back():
    evidence = having(
        jobs=(job("cut", job_class="Booking", attempt=2),),
        attempts=(
            attempt("cut", 1, outcome="failed", status="retrying", error_class="OperationalError"),
            attempt("cut", 2),
        ),
        runs=(done("cut", 1), done("cut", 2)),
        writes=(("cut", 2),),
        units=(unit("cut"),),
    )

    assert verdict.judge(evidence) == []


def test_the_table_says_what_became_of_a_dispatch_whose_end_nobody_heard():
    line = f"{'cut off by a fault: all or none stand':<44}{2:>7}"

    assert line in report.table(SOUND)


def test_a_fault_that_hit_nobody_is_not_survived():
    missed = replace(struck(Kind.KILL_RUNNER, 5, 5), hit="pid of nobody")

    table = report.table(having(struck=(missed,)))

    assert "FAULTS SURVIVED                                   3" in table
    assert "faults that hit nobody                            1" in table


# --- Causes ---


@pytest.mark.parametrize(
    ("rule", "job_class", "error_class", "seconds"),
    [
        pytest.param(causes.LOST, "Quick", "WorkerLost", 60, id="lost under a flush of Redis"),
        pytest.param(causes.LOST, "Quick", "WorkerLost", 90, id="lost under no fault at all"),
        pytest.param(causes.FAILED, "Quick", "AttributeError", 1, id="a fault of ours"),
        pytest.param(causes.FAILED, "Quick", "ConnectionError", 1, id="another class's error"),
        pytest.param(causes.FAILED, "Mark", "OperationalError", 60, id="PostgreSQL was there"),
    ],
)
def test_what_ends_badly_has_a_cause(rule: str, job_class: str, error_class: str, seconds: float):
    ended = {"outcome": "failed", "status": "retrying", "error_class": error_class}
    when = {"started_at": at(seconds), "ended_at": at(seconds + 0.5)}

    evidence = having(
        jobs=(job("odd", job_class=job_class, attempt=2),),
        attempts=(attempt("odd", 1, **ended, **when), attempt("odd", 2)),
        runs=(begun("odd", 1), done("odd", 2)),
        units=(unit("odd"),),
    )

    assert rule in rules(evidence)


@pytest.mark.parametrize(
    ("job_class", "error_class", "ended_at", "is_explained"),
    [
        pytest.param("AsyncHold", "LoopHeld", 91, True, id="it held the loop"),
        pytest.param("AsyncDeaf", "TimedOut", 91, True, id="it heard nothing"),
        pytest.param("AsyncHold", "LoopHeld", 95, False, id="it held the loop at another time"),
        pytest.param("AsyncOverlong", "TimedOut", 91, False, id="it heard of its timeout"),
    ],
)
def test_a_bad_neighbour_explains_a_loss(
    job_class: str, error_class: str, ended_at: float, *, is_explained: bool
):
    ended = {"outcome": "failed", "status": "retrying"}
    of_bad = {"error_class": error_class, "started_at": at(88), "ended_at": at(ended_at)}
    of_lost = {"error_class": "WorkerLost", "started_at": at(89), "ended_at": at(90)}

    evidence = having(
        jobs=(job("bad", job_class=job_class, attempt=2), job("lost", attempt=2)),
        attempts=(
            attempt("bad", 1, **ended, **of_bad),
            attempt("bad", 2),
            attempt("lost", 1, **ended, **of_lost),
            attempt("lost", 2),
        ),
        runs=(begun("bad", 1), done("bad", 2), begun("lost", 1), done("lost", 2)),
        units=(unit("bad"), unit("lost")),
    )

    assert (causes.LOST not in rules(evidence)) is is_explained


@pytest.mark.parametrize(
    ("job_class", "is_explained"),
    [
        pytest.param("AsyncHold", True, id="it held the loop and heard of no cancel"),
        pytest.param("AsyncDeaf", True, id="it is deaf to a cancel too"),
        pytest.param("AsyncWait", False, id="it heard of its cancel"),
    ],
)
def test_a_bad_neighbour_that_was_cancelled_explains_a_loss(job_class: str, *, is_explained: bool):
    of_bad = {"outcome": "cancelled", "status": "cancelled"}
    of_lost = {"outcome": "failed", "status": "retrying", "error_class": "WorkerLost"}
    when = {"started_at": at(89), "ended_at": at(90)}

    evidence = having(
        jobs=(
            job("bad", job_class=job_class, status="cancelled", attempt=1),
            job("lost", attempt=2),
        ),
        attempts=(
            attempt("bad", 1, **of_bad, **when),
            attempt("lost", 1, **of_lost, **when),
            attempt("lost", 2),
        ),
        runs=(begun("bad", 1), begun("lost", 1), done("lost", 2)),
        units=(unit("bad"), unit("lost")),
    )

    assert (causes.LOST not in rules(evidence)) is is_explained


# --- Schedules ---


def test_ticks_without_a_gap_are_well():
    assert verdict.judge(schedule(ticked(0), ticked(2), ticked(4), ticking_ended_at=at(5))) == []


@pytest.mark.parametrize(
    "evidence",
    [
        pytest.param(
            schedule(ticked(0), replace(ticked(2), jobs=())), id="a run whose job is gone"
        ),
        pytest.param(
            schedule(ticked(0), replace(ticked(2), ticks=(tick(2, job_id=None),))),
            id="a run without a job",
        ),
        pytest.param(
            schedule(ticked(0), replace(ticked(2), ticks=(tick(2, outcome="skipped"),))),
            id="a skipped moment with a job",
        ),
        pytest.param(schedule(ticked(0), replace(ticked(2), ticks=())), id="a job without a run"),
        pytest.param(
            schedule(
                ticked(0),
                ticked(2),
                Evidence(jobs=(job("x", schedule="often", logical_time=at(2)),)),
            ),
            id="a moment with two jobs",
        ),
        pytest.param(
            schedule(ticked(0), ticked(2), Evidence(ticks=(tick(2),))),
            id="a moment with two runs",
        ),
        pytest.param(
            schedule(ticked(0), replace(ticked(2), ticks=(tick(2, job_id="tick-0"),))),
            id="a run with another's job",
        ),
    ],
)
def test_a_moment_makes_exactly_one_job(evidence: Evidence):
    assert ticks.ONE_JOB in rules(evidence)


@pytest.mark.parametrize(
    "evidence",
    [
        pytest.param(schedule(), id="no tick at all"),
        pytest.param(schedule(ticked(0), ticked(4)), id="a gap"),
        pytest.param(
            schedule(ticked(0), ticked(4), struck=(struck(Kind.CRASH_POSTGRES, 1, 3),)),
            id="a gap in an outage: it has its run, made or skipped",
        ),
        pytest.param(
            schedule(ticked(0), ticking_ended_at=at(60)), id="it fell silent before the end"
        ),
        pytest.param(
            schedule(ticked(0), late(2, by=3), ticked(4)), id="late, and nothing explains it"
        ),
        pytest.param(
            schedule(
                ticked(0), late(2, by=12), ticked(4), struck=(struck(Kind.FLUSH_REDIS, 1, 3),)
            ),
            id="late by a fault that hinders no tick",
        ),
        pytest.param(
            schedule(ticked(0), skipped(2, by=30), ticked(4)), id="skipped, and nothing explains it"
        ),
        pytest.param(
            schedule(
                ticked(0), skipped(2, by=9), ticked(4), struck=(struck(Kind.CRASH_POSTGRES, 1, 9),)
            ),
            id="skipped while it was on time",
        ),
    ],
)
def test_a_moment_is_late_or_skipped_only_for_a_reason(evidence: Evidence):
    assert ticks.NOT_MISSED in rules(evidence)


def test_what_an_outage_made_them_miss_is_well_when_each_moment_has_its_run():
    evidence = schedule(
        ticked(0),
        skipped(2, by=14),
        skipped(4, by=12),
        late(6, by=10),
        late(8, by=8),
        struck=(struck(Kind.CRASH_POSTGRES, 1, 15),),
    )

    assert verdict.judge(evidence) == []
    assert ticks.skipped(evidence) == 2
