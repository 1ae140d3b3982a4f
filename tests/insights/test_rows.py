from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.utils import timezone

from jobs.insights import rows
from jobs.models import JobCheckpoint, JobRejectedRow, JobStatus
from jobs.statuses import Status
from tests.make import make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def job() -> JobStatus:
    return make_job(status=Status.STARTED)


def reject(job: JobStatus, *kept: Any, reason: str = "bad") -> None:
    JobRejectedRow.objects.bulk_create(
        JobRejectedRow(job=job, number=number, position=number * 10, row=row, reason=reason)
        for number, row in enumerate(kept, start=1)
    )


def table(job: JobStatus) -> list[list[str]]:
    return list(csv.reader(io.StringIO("".join(rows.rejected_csv(job.id)))))


def test_a_row_is_a_line_with_its_place_its_reason_and_its_columns(job: JobStatus) -> None:
    reject(job, {"icao": "EDDB", "city": "Berlin", "lat": 52.4, "open": True, "iata": None})

    assert table(job) == [
        ["position", "reason", "icao", "city", "lat", "open", "iata"],
        ["10", "bad", "EDDB", "Berlin", "52.4", "true", ""],
    ]


def test_rows_of_all_sorts_have_room(job: JobStatus) -> None:
    reject(job, {"a": 1, "b": {"c": [2]}}, {"b": 3, "z": 4}, ["x", "y", "z", "w"], "text", None)

    assert table(job) == [
        ["position", "reason", "a", "b", "z", "field 4"],
        ["10", "bad", "1", '{"c": [2]}', "", ""],
        ["20", "bad", "", "3", "4", ""],
        ["30", "bad", "x", "y", "z", "w"],
        ["40", "bad", "text"],
        ["50", "bad", ""],
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1+1", "'+1+1"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        (" =1", "' =1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("-5", "-5"),
        ("+49.5e3", "+49.5e3"),
        ("a=b", "a=b"),
    ],
)
def test_no_cell_is_a_formula(job: JobStatus, text: str, shown: str) -> None:
    reject(job, {text: text}, reason=text)

    header, line = table(job)
    assert header[2] == shown
    assert line == ["10", shown, shown]


def test_many_rows_come_in_pieces_and_in_order(job: JobStatus) -> None:
    reject(job, *({"n": number} for number in range(1_201)))

    assert len(list(rows.rejected_csv(job.id))) == 4
    assert [line[2] for line in table(job)[1:]] == [str(number) for number in range(1_201)]


def test_a_job_without_rejected_rows_has_a_header(job: JobStatus) -> None:
    assert table(job) == [["position", "reason"]]


def test_what_a_job_has_recorded_is_told(job: JobStatus) -> None:
    assert rows.rows_of(job.id) is None
    reject(job, 1, 2)
    JobCheckpoint.objects.create(
        job=job, claim=1, position={"page": 7}, rows_in=9, rows_out=6, rows_rejected=3,
        updated_at=timezone.now(),
    )  # fmt: skip

    assert rows.rows_of(job.id) == rows.Rows(
        rows_in=9, rows_out=6, rows_rejected=3, kept=2, position={"page": 7}
    )
