"""Each rule of workflows finds the wrong that is planted for it."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from jobs.base import BaseJob
from tests.chaos import dependents, flows, report, verdict
from tests.chaos.case import Case
from tests.chaos.evidence import Evidence
from tests.chaos.ledger import COMMITTED, Edge, Unit
from tests.chaos.planted import FLOW, at, attempt, changed, done, job, rules


class Stepping(BaseJob):
    """A step of any kind."""

    token: str

    def _perform(self) -> None:
        return None


def begun_at(name: str, seconds: float) -> Evidence:
    """The sound workflow, in which one job began at another moment."""
    attempts = tuple(
        replace(one, started_at=at(seconds)) if one.job_id == name else one for one in FLOW.attempts
    )
    assert attempts != FLOW.attempts
    return replace(FLOW, attempts=attempts)


def ran(name: str, **fields: Any) -> Evidence:
    """The sound workflow, in which a job that shouldn't have has run."""
    evidence = changed(name, FLOW, **{"status": "completed", "attempt": 1, "error": ""} | fields)
    return replace(
        evidence,
        attempts=(*FLOW.attempts, attempt(name, started_at=at(3), ended_at=at(4))),
        runs=(*FLOW.runs, done(name)),
    )


def test_nothing_is_wrong_with_a_sound_workflow():
    assert verdict.judge(FLOW) == []


PLANTED = [
    (dependents.RELEASED, "never released", changed("revived", FLOW, status="waiting")),
    (dependents.RELEASED, "never cut", changed("cut", FLOW, status="waiting")),
    (dependents.BLAMED, "no reason", changed("cut", FLOW, error="")),
    (
        dependents.BLAMED,
        "another is blamed",
        changed("cut", FLOW, error="cancelled: Frail other failed"),
    ),
    (
        dependents.BLAMED,
        "another cause is told",
        changed("cut", FLOW, error="cancelled: Frail frail was cancelled"),
    ),
    (
        dependents.BLAMED,
        "its parent has completed",
        changed("frail", FLOW, status="completed"),
    ),
    (
        dependents.BLAMED,
        "it should have run all the same",
        changed(
            "all-the-same", replace(FLOW, attempts=()), status="cancelled", error="Frail frail"
        ),
    ),
    (dependents.IN_TURN, "it ran though its parent had failed", ran("cut")),
    (dependents.IN_TURN, "before a parent had failed", begun_at("all-the-same", 1.2)),
    (dependents.IN_TURN, "before the parent's second end", begun_at("revived", 20.5)),
    (dependents.IN_TURN, "before the parent's retry", begun_at("revived", 2)),
]


@pytest.mark.parametrize(
    ("rule", "evidence"),
    [pytest.param(rule, evidence, id=name) for rule, name, evidence in PLANTED],
)
def test_each_wrong_is_found_by_its_rule(rule: str, evidence: Evidence):
    assert rule in rules(evidence)


def test_a_cancel_that_no_parent_explains_is_nobodys():
    lonely = replace(FLOW, units=tuple(replace(one, edges=()) for one in FLOW.units))

    assert (verdict._cancels_are_asked.__doc__ or "").strip() in rules(lonely)


def test_what_a_person_retries_runs_whatever_its_parents_do():
    asked = replace(FLOW.requests[0], job_ids=("cut",), moved=("cut",), ended_at=(at(2),))
    evidence = ran("cut")

    assert verdict.judge(replace(evidence, requests=(*FLOW.requests, asked))) == []


def test_a_parent_that_was_retried_had_ended_when_the_person_saw_it():
    """A parent that never began is cancelled, then retried: its row knows only its second end."""
    parent = changed("frail", FLOW, status="completed", finished_at=at(100))
    again = replace(FLOW.requests[0], job_ids=("frail",), moved=("frail",), ended_at=(at(1.4),))
    attempts = tuple(
        replace(one, started_at=at(50), ended_at=at(51), status="completed", outcome="completed")
        if one.job_id == "frail"
        else one
        for one in FLOW.attempts
    )
    evidence = replace(parent, attempts=attempts, requests=(*FLOW.requests, again))
    unseen = replace(evidence, requests=(*FLOW.requests, replace(again, ended_at=())))

    assert dependents.IN_TURN not in rules(evidence)
    assert dependents.IN_TURN in rules(unseen)


def test_a_parent_that_was_cut_and_revived_had_ended_in_between():
    """Its row and its attempts know only its second end; its own parent's tell of the first."""
    after = Unit(tokens=("after",), end=COMMITTED, edges=(Edge("after", "revived", "run"),))
    evidence = replace(
        FLOW,
        jobs=(*FLOW.jobs, job("after")),
        attempts=(*FLOW.attempts, attempt("after", started_at=at(1.6), ended_at=at(1.7))),
        runs=(*FLOW.runs, done("after")),
        units=(*FLOW.units, after),
    )
    too_early = replace(
        evidence,
        attempts=(*FLOW.attempts, attempt("after", started_at=at(1.4), ended_at=at(1.7))),
    )

    assert dependents.IN_TURN not in rules(evidence)
    assert dependents.IN_TURN in rules(too_early)
    assert dependents.IN_TURN in rules(replace(evidence, requests=()))


def test_the_table_counts_dependents():
    table = report.table(FLOW)

    assert f"{'jobs that depend on others':<44}{3:>7}" in table
    assert f"{'of these: cancelled by a parent':<44}{1:>7}" in table
    assert f"{'of these: revived, and ran':<44}{1:>7}" in table


@pytest.mark.parametrize("seed", range(50))
def test_a_drawn_flow_waits_as_its_edges_say(seed: int):
    flow = flows.draw(Random(seed), [(1, (Stepping, lambda rand: {}))])
    tokens = [f"token-{place}" for place in range(flow.size)]

    steps = flow.build(tokens).steps

    token_by_name = {name: step.params["token"] for name, step in steps.items()}
    built = {
        (step.params["token"], token_by_name[parent], step.on_parent_failure)
        for step in steps.values()
        for parent in step.parents
    }
    assert sorted(token_by_name.values()) == tokens
    assert built == {(one.child, one.parent, one.on_failure) for one in flow.edges(tokens)}


def test_edges_of_what_never_stood_are_none():
    assert dependents.children(Case(replace(FLOW, jobs=(job("frail"),)))) == []
