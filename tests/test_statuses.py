"""Every path of the state machine, and nothing beside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.models import JobStatus
from jobs.statuses import LIVING, TERMINAL, TRANSITIONS, Status, sources
from tests.make import make_job


def test_a_job_can_be_dispatched_run_and_completed() -> None:
    assert Status.STARTED in TRANSITIONS[Status.QUEUED]
    assert Status.COMPLETED in TRANSITIONS[Status.STARTED]


def test_every_status_has_its_row_in_the_table() -> None:
    assert TRANSITIONS.keys() == set(Status)
    assert set(Status) == TERMINAL | LIVING


@given(st.sampled_from(Status))
def test_sources_is_the_table_read_backwards(target: Status) -> None:
    assert sources(target) == {source for source in Status if target in TRANSITIONS[source]}


@given(st.sampled_from(sorted(LIVING)), st.data())
def test_every_path_can_reach_an_end(start: Status, data: st.DataObject) -> None:
    reached, status = {start}, start
    for _ in range(50):
        status = data.draw(st.sampled_from(sorted(TRANSITIONS[status])))
        reached.add(status)
        if status in TERMINAL:
            return
    assert any(TRANSITIONS[seen] & TERMINAL for seen in reached)


@pytest.mark.django_db
@pytest.mark.parametrize("source", list(Status))
@pytest.mark.parametrize("target", list(Status))
def test_move_moves_exactly_where_the_table_allows(source: Status, target: Status) -> None:
    job = make_job(status=source)

    moved = JobStatus.objects.filter(id=job.id).move(target)

    job.refresh_from_db()
    assert bool(moved) == (target in TRANSITIONS[source])
    assert job.status == (target if moved else source)


@pytest.mark.django_db
def test_a_return_to_queued_makes_a_new_claim() -> None:
    job = make_job(status=Status.FAILED, claim=7)

    JobStatus.objects.filter(id=job.id).move(Status.QUEUED)

    job.refresh_from_db()
    assert job.claim == 8


@pytest.mark.django_db
def test_a_move_with_another_claim_moves_nothing() -> None:
    job = make_job(status=Status.STARTED, claim=3)

    assert JobStatus.objects.filter(id=job.id).move(Status.COMPLETED, claim=2) == []
    assert JobStatus.objects.filter(id=job.id).move(Status.COMPLETED, claim=3) == [job.id]


@pytest.mark.django_db
def test_move_returns_the_ids_that_moved_ascending() -> None:
    moving = [make_job(status=Status.QUEUED) for _ in range(3)]
    make_job(status=Status.COMPLETED)

    moved = JobStatus.objects.all().move(Status.CANCELLED)

    assert moved == sorted(job.id for job in moving)
