"""What becomes of claimed entries that a start did not start."""

from __future__ import annotations

from uuid import UUID

from jobs.lifecycle.start import Beginning
from jobs.models import JobStatus
from jobs.runner.claims import sort_out

FIRST, SECOND, THIRD = (UUID(f"01a20e5a-385d-71c8-ba33-c7ccf2e7cc1{digit}") for digit in "123")
ENTRIES = [("high", str(FIRST)), ("low", str(SECOND)), ("low", str(THIRD))]


def test_what_was_started_or_dropped_does_not_go_back() -> None:
    begun = Beginning(jobs=[JobStatus(id=FIRST)], dropped=[SECOND], later=[THIRD])

    assert sort_out(ENTRIES, begun) == ([str(THIRD)], None)


def test_a_plain_job_that_stands_first_is_to_run_now_and_alone() -> None:
    begun = Beginning(dropped=[FIRST], strangers=[SECOND], later=[THIRD])

    assert sort_out(ENTRIES, begun) == ([str(THIRD)], ("low", str(SECOND)))


def test_an_id_that_can_be_no_rows_is_a_plain_jobs() -> None:
    assert sort_out([("low", "nightly")], Beginning()) == ([], ("low", "nightly"))


def test_a_plain_job_behind_others_waits_for_its_turn() -> None:
    begun = Beginning(jobs=[JobStatus(id=FIRST)], later=[SECOND, THIRD])

    assert sort_out(ENTRIES, begun) == ([str(SECOND), str(THIRD)], None)


def test_a_worker_that_may_start_nothing_runs_no_plain_job_either() -> None:
    begun = Beginning(later=[FIRST, SECOND, THIRD], is_refused=True)

    assert sort_out(ENTRIES, begun) == ([str(FIRST), str(SECOND), str(THIRD)], None)
