from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction

from jobs import registry
from jobs.errors import (
    InvalidCheckpoint,
    InvalidDeclaration,
    InvalidParams,
    InvalidResult,
    ResultTooLarge,
    StaleAttempt,
    TooManyRejected,
)
from jobs.etl import EtlJob, Reject, numbered
from jobs.lifecycle import control
from jobs.models import JobCheckpoint, JobRejectedRow, JobStatus
from jobs.statuses import Status
from tests import etl_jobs, others
from tests.contexts import Listening, run
from tests.etl_jobs import expected, loaded
from tests.make import make_job

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def table() -> Iterator[None]:
    with etl_jobs.table():
        yield


def begin(job_class: str = "LoadNumbers", **params: Any) -> JobStatus:
    return make_job(status=Status.STARTED, job_class=job_class, params=params)


def again(job: JobStatus) -> JobStatus:
    """The same job in its next attempt."""
    JobStatus.objects.filter(id=job.id).update(claim=job.claim + 1, attempt=job.attempt + 1)
    return JobStatus.objects.get(id=job.id)


def test_rows_are_extracted_transformed_and_loaded() -> None:
    job = begin(rows=250)

    result = run(job)

    assert result == {"rows_in": 250, "rows_out": 245, "rows_rejected": 2}
    assert loaded(job) == expected(250)


def test_each_batch_records_its_position_and_its_rows() -> None:
    job = begin(rows=105, fails_at=105)

    with pytest.raises(ConnectionError):
        run(job)

    checkpoint = JobCheckpoint.objects.get(job=job)
    assert checkpoint.position == 100
    assert (checkpoint.rows_in, checkpoint.rows_out, checkpoint.rows_rejected) == (100, 98, 1)


def test_the_next_attempt_goes_on_behind_the_last_batch() -> None:
    job = begin(rows=105, fails_at=105)
    with pytest.raises(ConnectionError):
        run(job)

    result = run(again(job))

    assert result == {"rows_in": 105, "rows_out": 103, "rows_rejected": 1}
    assert loaded(job) == expected(105)


def test_progress_tells_the_rows_in_out_and_rejected() -> None:
    job = begin(rows=105)
    context = Listening(job)

    run(job, context)

    assert context.said[-1] == (105, None, "105 in, 103 out, 1 rejected")


def test_a_rejected_row_is_kept_with_its_reason_and_place() -> None:
    job = begin(rows=200)

    run(job)

    kept = JobRejectedRow.objects.filter(job=job).order_by("number")
    assert list(kept.values_list("number", "position", "row", "reason")) == [
        (1, 100, 100, "100 is a hundred"),
        (2, 200, 200, "200 is a hundred"),
    ]


def test_whoever_did_all_but_record_its_end_returns_the_same_again() -> None:
    job = begin(rows=20)
    first = run(job)

    second = run(again(job))

    assert second == first
    assert loaded(job) == expected(20)


def test_an_attempt_whose_job_has_moved_on_loads_nothing() -> None:
    job = begin(rows=20)
    again(job)

    with pytest.raises(StaleAttempt):
        run(job)

    assert loaded(job) == []


def test_an_earlier_attempt_records_nothing_once_a_later_one_has_begun() -> None:
    job = begin("CountUp", rows=1)
    late = Listening(job)
    late.checkpoint(1)
    Listening(again(job)).last_checkpoint()

    with pytest.raises(StaleAttempt), transaction.atomic():
        late.checkpoint(2)

    assert JobCheckpoint.objects.get(job=job).position == 1


@pytest.mark.django_db(transaction=True)
def test_a_record_that_waits_for_a_later_attempts_is_refused() -> None:
    job = begin("CountUp", rows=1)
    late = Listening(job)
    late.checkpoint(1)
    with others.elsewhere() as cursor:
        cursor.execute("UPDATE job_statuses SET claim = 2 WHERE id = %s", [job.id])
        cursor.execute("UPDATE job_checkpoints SET claim = 2 WHERE job_id = %s", [job.id])
        recording = others.at_once(lambda: late.checkpoint(2))
        others.until_blocked()
        cursor.execute("COMMIT")

        with pytest.raises(StaleAttempt):
            recording.result(30)

    assert JobCheckpoint.objects.get(job=job).position == 1


def test_any_job_may_record_how_far_it_is() -> None:
    job = begin("CountUp", rows=5, fails_at=4)
    with pytest.raises(ConnectionError):
        run(job)

    assert run(again(job)) == {"begun_at": 3}
    assert loaded(job) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("position", [float("nan"), object(), "x" * 70_000, {"a": "\0"}])
def test_a_position_that_cant_be_recorded_is_refused(position: Any) -> None:
    job = begin("CountUp", rows=1)

    with pytest.raises(InvalidCheckpoint):
        Listening(job).checkpoint(position)


@pytest.mark.parametrize(
    ("status", "is_kept"),
    [(Status.COMPLETED, False), (Status.FAILED, True), (Status.CANCELLED, True)],
)
def test_run_again_begins_anew_and_a_retry_goes_on(status: Status, is_kept: bool) -> None:  # noqa: FBT001
    job = begin(rows=100)
    run(job)
    JobStatus.objects.filter(id=job.id).update(status=status)

    control.retry([job.id], by="alice")

    assert JobCheckpoint.objects.filter(job=job).exists() is is_kept
    assert JobRejectedRow.objects.filter(job=job).exists() is is_kept


def test_a_deleted_job_takes_its_checkpoint_and_its_rejected_rows_with_it() -> None:
    job = begin(rows=100)
    run(job)

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM job_statuses WHERE id = %s", [job.id])

    assert not JobCheckpoint.objects.exists()
    assert not JobRejectedRow.objects.exists()


def test_without_a_worker_it_loads_and_records_nothing(make: Any) -> None:
    job = make(rows=[1, 2, 3])()

    assert job._perform() == {"rows_in": 3, "rows_out": 3, "rows_rejected": 0}
    assert not JobCheckpoint.objects.exists()


# --- Options ---


@pytest.fixture
def make() -> Any:
    """Return what makes an EtlJob of some attributes, registered until the test's end."""
    made: list[str] = []

    def of(rows: list[Any], **attributes: Any) -> type[EtlJob]:
        name = f"Made{len(made)}"
        made.append(name)
        hooks = {
            "extract": lambda self, after: numbered(rows, after),
            "load": lambda self, batch: None,
        }
        return type(name, (EtlJob,), {**hooks, "__module__": __name__, **attributes})

    yield of
    for name in made:
        registry._spec_by_name.pop(name, None)


def rejecting(numbers: set[int]) -> Any:
    def transform(self: EtlJob, row: int) -> int:
        if row in numbers:
            raise Reject(f"{row} is bad")
        return row

    return transform


def started(job_class: type[EtlJob]) -> JobStatus:
    return make_job(status=Status.STARTED, job_class=job_class.spec.name, params={})


def test_more_rejected_rows_than_allowed_fail_the_job_and_are_kept(make: Any) -> None:
    job = started(make([1, 2, 3, 4], transform=rejecting({2, 3}), max_rejected=1, batch_size=2))

    with pytest.raises(
        TooManyRejected, match=r"2 of 4 rows .* allows 1. First: row 2: 2 is bad; row 3: 3"
    ):
        run(job)

    assert JobRejectedRow.objects.filter(job=job).count() == 2
    assert JobCheckpoint.objects.get(job=job).position == 2, "the batch before stays"


def test_after_too_many_the_next_attempt_keeps_no_row_twice(make: Any) -> None:
    job = started(make([1, 2, 3, 4], transform=rejecting({2, 3}), max_rejected=1, batch_size=2))

    with pytest.raises(TooManyRejected):
        run(job)
    with pytest.raises(TooManyRejected):
        run(again(job))

    assert [row.row for row in JobRejectedRow.objects.filter(job=job).order_by("number")] == [2, 3]


def test_a_share_is_measured_at_the_end_where_there_are_few_rows(make: Any) -> None:
    few = make(list(range(10)), transform=rejecting({1}), max_rejected=0.1, batch_size=5)
    many = make(list(range(10)), transform=rejecting({1, 2}), max_rejected=0.1, batch_size=5)

    assert run(started(few))["rows_rejected"] == 1
    with pytest.raises(TooManyRejected, match=r"2 of 10 rows .* allows 10.0% of them"):
        run(started(many))


def test_too_many_are_not_retried(make: Any) -> None:
    assert TooManyRejected in make([], discard_on=(KeyError,)).spec.discard_on


@pytest.mark.parametrize("limit", [-1, 1.5, "many", True])
def test_a_limit_that_is_none_is_refused(make: Any, limit: Any) -> None:
    with pytest.raises(InvalidDeclaration, match="max_rejected"):
        make([], max_rejected=limit)


@pytest.mark.parametrize("name", ["extract", "load", "reject", "resumable", "tags"])
def test_a_param_may_not_take_the_place_of_a_hook(make: Any, name: str) -> None:
    with pytest.raises(InvalidDeclaration, match=name):
        make([], __annotations__={name: "str"})


def test_the_limit_and_the_batch_may_be_params(make: Any) -> None:
    job_class = make(
        [1, 2, 3],
        transform=rejecting({1, 2}),
        max_rejected=1,
        batch_size=1,
        __annotations__={"max_rejected": "int", "batch_size": "int"},
    )
    job = started(job_class)
    JobStatus.objects.filter(id=job.id).update(params={"max_rejected": 2, "batch_size": 3})
    job.refresh_from_db()

    assert run(job)["rows_rejected"] == 2
    with pytest.raises(TooManyRejected):
        run(started(job_class))


@pytest.mark.parametrize(("name", "value"), [("batch_size", 0), ("max_rejected", 5)])
def test_options_that_make_no_sense_as_params_are_refused(make: Any, name: str, value: int) -> None:
    kinds = {"batch_size": "int", "max_rejected": "float | None"}
    chosen = {"batch_size": 10, "max_rejected": None, "__annotations__": kinds}
    careless = make([1, 2], __post_init__=lambda self: None, **chosen)
    job = started(careless)
    JobStatus.objects.filter(id=job.id).update(params={name: value})
    job.refresh_from_db()

    with pytest.raises(InvalidParams, match=f"{name} must be"):
        make([1, 2], **chosen).dispatch(**{name: value})
    with pytest.raises(ValueError, match=f"{name} must be"):
        run(job)


def test_a_batch_of_a_slow_source_is_loaded_before_it_is_full(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.etl.LONGEST_GATHER_SECONDS", 0.0)
    batches: list[list[int]] = []

    run(started(make([1, 2], load=lambda self, rows: batches.append(list(rows)))))

    assert batches == [[1], [2]]


def test_in_one_transaction_all_rows_stand_or_none() -> None:
    job = begin(rows=105, fails_at=105)

    with pytest.raises(ConnectionError), transaction.atomic():
        run(job)

    assert loaded(job) == []
    assert run(again(job))["rows_out"] == 103
    assert loaded(job) == expected(105)


def test_a_batch_ends_at_its_length_as_well(make: Any) -> None:
    batches: list[list[str]] = []
    job_class = make(
        ["aa", "bb", "cc"], batch_length=4, load=lambda self, rows: batches.append(list(rows))
    )

    run(started(job_class))

    assert batches == [["aa", "bb"], ["cc"]]


def test_load_tells_how_many_of_its_rows_stand_and_rejects_others(make: Any) -> None:
    def load(self: EtlJob, rows: list[int]) -> int:
        self.reject({"n": rows[-1]}, "the table refuses it", position=rows[-1])
        return len(rows) - 1

    job = started(make([1, 2, 3], load=load))

    assert run(job) == {"rows_in": 3, "rows_out": 2, "rows_rejected": 1}
    assert JobRejectedRow.objects.get(job=job).row == {"n": 3}


def test_what_finish_returns_is_in_the_result(make: Any) -> None:
    job_class = make([1, 2], finish=lambda self, counts: {"seen": counts.rows_in})

    assert run(started(job_class))["seen"] == 2


def test_an_error_in_finish_leaves_the_batches_and_records_no_end(make: Any) -> None:
    def finish(self: EtlJob, counts: Any) -> None:
        raise ConnectionError

    job = started(make([1, 2], finish=finish))
    with pytest.raises(ConnectionError):
        run(job)

    checkpoint = JobCheckpoint.objects.get(job=job)
    assert (checkpoint.position, checkpoint.result) == (2, None)


@pytest.mark.parametrize(
    ("more", "error"),
    [(date(2026, 12, 1), InvalidResult), ("x" * 1_100_000, ResultTooLarge)],
)
def test_what_cant_be_a_result_is_not_recorded_as_one(make: Any, more: Any, error: Any) -> None:
    job = started(make([1, 2], finish=lambda self, counts: {"more": more}))

    with pytest.raises(error):
        run(job)

    assert JobCheckpoint.objects.get(job=job).result is None


def test_a_row_without_a_position_is_refused_before_anything_stays(make: Any) -> None:
    job = started(make([], extract=lambda self, after: iter([("row", None)])))

    with pytest.raises(InvalidCheckpoint, match="resumable = False"):
        run(job)


def test_where_it_cant_be_resumed_each_attempt_begins_at_the_start(make: Any) -> None:
    begun = []

    def extract(self: EtlJob, after: Any) -> Any:
        begun.append(after)
        yield 1, 1
        yield 2, 2
        if self.attempt == 1:
            raise ConnectionError

    job = started(
        make([], extract=extract, resumable=False, batch_size=1, transform=rejecting({1}))
    )
    with pytest.raises(ConnectionError):
        run(job)

    assert run(again(job)) == {"rows_in": 2, "rows_out": 1, "rows_rejected": 1}
    assert begun == [None, None]
    assert JobRejectedRow.objects.filter(job=job).count() == 1


def test_a_source_is_closed_when_a_load_fails(make: Any) -> None:
    closed = []

    def extract(self: EtlJob, after: Any) -> Any:
        try:
            yield 1, 1
            yield 2, 2
        finally:
            closed.append(True)

    def load(self: EtlJob, rows: list[Any]) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        run(started(make([], extract=extract, load=load, batch_size=1)))

    assert closed == [True]


@pytest.mark.parametrize(
    ("row", "kept"),
    [
        ({"b": 1, "a": 2}, {"b": 1, "a": 2}),
        ({"day": date(2026, 12, 1), "rate": Decimal("0.5")}, {"day": "2026-12-01", "rate": "0.5"}),
        ({"x": float("nan")}, "{'x': nan}"),
        ("a\0b", "'a\\x00b'"),
        ("\ud800", "'\\ud800'"),
        ("x" * 5_000, None),
    ],
)
def test_a_row_of_any_kind_is_kept(make: Any, row: Any, kept: Any) -> None:
    def transform(self: EtlJob, row: Any) -> Any:
        raise Reject("bad\0")

    job = started(make([row], transform=transform))

    run(job)

    found = JobRejectedRow.objects.get(job=job)
    assert found.reason == "bad\N{REPLACEMENT CHARACTER}"
    if kept is None:
        assert found.row.startswith('"xxx')
        assert "bytes left out" in found.row
        assert len(found.row) < 2_100
    else:
        assert found.row == kept
        assert not isinstance(kept, dict) or list(found.row) == list(kept), "columns keep order"


def test_a_job_may_keep_nothing_of_a_row_or_something_else(make: Any) -> None:
    def transform(self: EtlJob, row: str) -> Any:
        raise Reject("secret", row=None if row == "all" else {"id": 1})

    job = started(make(["all", "some"], transform=transform))

    run(job)

    rows = JobRejectedRow.objects.filter(job=job).order_by("number")
    assert [row.row for row in rows] == [None, {"id": 1}]


def test_of_very_many_all_are_counted_and_the_first_are_kept(make: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("jobs.lifecycle.rejected.MAX_KEPT", 5)
    job = started(make(list(range(20)), transform=rejecting(set(range(20))), batch_size=4))

    assert run(job)["rows_rejected"] == 20
    assert JobRejectedRow.objects.filter(job=job).count() == 5
