"""The rule of imports finds the wrong that is planted for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from tests.chaos import causes, loads, verdict
from tests.chaos.evidence import Evidence, Import
from tests.chaos.ledger import COMMITTED, Request
from tests.chaos.planted import attempt, begun, done, having, job, lost, rules, unit

# Of 16 rows the 7th and the 14th are rejected, the 5th, 10th and 15th left out.
LOADED = (1, 2, 3, 4, 6, 8, 9, 11, 12, 13, 16)
REJECTED = (7, 14)
COUNTS = {"rows_in": 16, "rows_out": 11, "rows_rejected": 2}


def left(
    loaded: Sequence[int] = LOADED,
    rejected: Sequence[int] = REJECTED,
    counts: dict[str, int] | None = COUNTS,
    **more: Any,
) -> Evidence:
    """Evidence of an import that was killed once, then completed, or became what `more` says."""
    evidence = {
        "jobs": (job("load", job_class="Import", attempt=2),),
        "attempts": (lost("load", 1), attempt("load", 2)),
        "runs": (begun("load"), done("load", 2)),
        "units": (unit("load"),),
    }
    one = Import(
        job_id="load",
        numbers=16,
        loaded=Counter(loaded),
        rejected=tuple(rejected),
        counts=counts,
    )
    return having(imports=(one,), **evidence | more)


CANCELLED: dict[str, Any] = {
    "jobs": (job("load", job_class="Import", attempt=1, status="cancelled"),),
    "attempts": (attempt("load", outcome="cancelled", status="cancelled"),),
    "runs": (begun("load"),),
    "requests": (Request(do="cancel", job_ids=("load",), end=COMMITTED, moved=("load",)),),
}
AGAIN: dict[str, Any] = {
    "jobs": (job("load", job_class="Import", attempt=2),),
    "attempts": (attempt("load", 1), attempt("load", 2)),
    "runs": (done("load", 1), done("load", 2)),
    "requests": (Request(do="retry", job_ids=("load",), end=COMMITTED, moved=("load",)),),
}


@pytest.mark.parametrize(
    "evidence",
    [
        pytest.param(left(), id="killed once and completed"),
        pytest.param(left(LOADED[:5], (), None, **CANCELLED), id="cancelled after the first rows"),
        pytest.param(left((), (), None, **CANCELLED), id="cancelled before the first"),
        pytest.param(left(LOADED, REJECTED, None, **CANCELLED), id="cancelled after the last"),
        pytest.param(left(LOADED * 2, REJECTED, **AGAIN), id="run again by a person"),
    ],
)
def test_nothing_is_wrong_with_a_sound_import(evidence: Evidence):
    assert verdict.judge(evidence) == []


@pytest.mark.parametrize(
    "evidence",
    [
        pytest.param(left(LOADED[1:]), id="a row is lost"),
        pytest.param(left((*LOADED, 3)), id="a row stands twice"),
        pytest.param(left((*LOADED[1:], 3)), id="a lost row and a double cancel out"),
        pytest.param(left((*LOADED, 17)), id="a row that isn't in the source"),
        pytest.param(left((*LOADED, 7)), id="a rejected row stands"),
        pytest.param(left(rejected=(7,)), id="a rejected row is lost"),
        pytest.param(left(rejected=(7, 7, 14)), id="a rejected row is kept twice"),
        pytest.param(left(rejected=(14, 7)), id="the rejected rows are out of order"),
        pytest.param(left(counts={**COUNTS, "rows_in": 26}), id="a batch is counted twice"),
        pytest.param(left(counts={**COUNTS, "rows_out": 10}), id="too few are counted"),
        pytest.param(left(counts={**COUNTS, "rows_rejected": 3}), id="a rejected one twice"),
        pytest.param(left(counts=None), id="no counts"),
        pytest.param(left((1, 2, 4), (), None, **CANCELLED), id="cancelled, with a gap"),
        pytest.param(left((1, 2, 2), (), None, **CANCELLED), id="cancelled, with a double"),
        pytest.param(left((1, 2, 3), (7,), None, **CANCELLED), id="rejected ahead of its batch"),
        pytest.param(left(LOADED[:6], (), None, **CANCELLED), id="its batch stands without it"),
        pytest.param(left(LOADED * 2), id="twice, though nobody ran it again"),
        pytest.param(left(LOADED, **AGAIN), id="once, though it was run again"),
        pytest.param(left(LOADED * 2, REJECTED * 2, **AGAIN), id="rejected by both runs"),
    ],
)
def test_a_row_that_stands_not_once_is_found(evidence: Evidence):
    assert loads.ONCE in rules(evidence)


def test_an_import_that_kills_its_runner_explains_its_loss_and_its_neighbours():
    ended = {"outcome": "failed", "status": "retrying", "error_class": "WorkerLost"}
    evidence = having(
        jobs=(job("deadly", job_class="DeadlyImport", attempt=2), job("near", attempt=2)),
        attempts=tuple(
            one
            for name in ("deadly", "near")
            for one in (attempt(name, 88, number=1, **ended), attempt(name, 89, number=2))
        ),
        runs=tuple(one for name in ("deadly", "near") for one in (begun(name, 88), done(name, 89))),
        units=(unit("deadly"), unit("near")),
    )

    assert verdict.judge(evidence) == []


def test_it_kills_only_the_runner_of_its_first_attempt():
    ended = {"outcome": "failed", "status": "retrying", "error_class": "WorkerLost"}
    evidence = having(
        jobs=(job("deadly", job_class="DeadlyImport", attempt=3),),
        attempts=tuple(attempt("deadly", 40 * n, number=n, **ended) for n in (1, 2)),
    )

    assert causes.LOST in rules(evidence)
