from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tests.chaos import ledger
from tests.chaos.ledger import COMMITTED, ROLLED_BACK, UNKNOWN, Edge, Ledger, Request, Unit


def test_what_was_begun_and_ended_is_read_back(tmp_path: Path):
    mine = Ledger(tmp_path, "producer-1")
    first = mine.begin("dispatch", tokens=["a", "b"])
    second = mine.begin("dispatch", tokens=["c"])
    mine.end(second, ROLLED_BACK)
    mine.end(first, COMMITTED)

    units, requests = ledger.read(tmp_path)

    assert units == [
        Unit(tokens=("a", "b"), end=COMMITTED),
        Unit(tokens=("c",), end=ROLLED_BACK),
    ]
    assert requests == []


def test_what_nobody_ended_is_unknown(tmp_path: Path):
    Ledger(tmp_path, "producer-1").begin("dispatch", tokens=["a"])

    assert ledger.read(tmp_path)[0] == [Unit(tokens=("a",), end=UNKNOWN)]


def test_a_persons_requests_are_read_back(tmp_path: Path):
    person = Ledger(tmp_path, "person")
    deed = person.begin("cancel", job_ids=["x", "y"])
    person.end(deed, COMMITTED, moved=["y"])

    assert ledger.read(tmp_path) == (
        [],
        [Request(do="cancel", job_ids=("x", "y"), end=COMMITTED, moved=("y",))],
    )


def test_what_waits_for_what_is_read_back(tmp_path: Path):
    Ledger(tmp_path, "producer-1").begin("dispatch", tokens=["a", "b"], edges=[("b", "a", "run")])

    assert ledger.read(tmp_path)[0] == [
        Unit(tokens=("a", "b"), end=UNKNOWN, edges=(Edge("b", "a", "run"),))
    ]


def test_when_a_job_had_ended_that_a_person_retried_is_read_back(tmp_path: Path):
    ended_at = datetime(2026, 1, 1, tzinfo=UTC)
    Ledger(tmp_path, "person").begin("retry", job_ids=["x"], ended_at=[ended_at.isoformat()])

    assert ledger.read(tmp_path)[1] == [
        Request(do="retry", job_ids=("x",), end=UNKNOWN, ended_at=(ended_at,))
    ]
