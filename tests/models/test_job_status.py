"""A job's id is a UUID like any other, to whoever gets hold of it."""

from __future__ import annotations

import copy
import json
import pickle
from uuid import UUID

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from pydantic_core import to_json

from jobs.models.job_status import job_ids, new_job_id

TEXT = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.fixture(params=["of an entry", "new"])
def job_id(request: pytest.FixtureRequest) -> UUID:
    if request.param == "new":
        return new_job_id()
    (made,) = job_ids([TEXT])
    return made


def test_it_equals_the_uuid_of_its_text(job_id: UUID) -> None:
    other = UUID(str(job_id))

    assert (job_id, hash(job_id), repr(job_id)) == (other, hash(other), repr(other))
    assert f"{job_id}" == f"{other}"


def test_it_is_copied_and_pickled_as_a_uuid(job_id: UUID) -> None:
    pickled = pickle.loads(pickle.dumps(job_id))  # noqa: S301 - our own
    for again in (copy.copy(job_id), copy.deepcopy(job_id), pickled):
        assert type(again) is UUID
        assert again == job_id


def test_it_is_written_as_a_uuid(job_id: UUID) -> None:
    written = f'"{UUID(str(job_id))}"'

    assert json.dumps(job_id, cls=DjangoJSONEncoder) == written
    assert to_json(job_id).decode() == written


@pytest.mark.django_db
def test_postgresql_is_given_a_uuid(job_id: UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s, pg_typeof(%s)::text", [job_id, job_id])

        assert cursor.fetchone() == (UUID(str(job_id)), "uuid")


def test_new_ones_ascend() -> None:
    made = [new_job_id() for _ in range(1_000)]

    assert made == sorted(set(made))


def test_what_can_be_no_id_is_left_out() -> None:
    assert job_ids(["plain", TEXT.upper(), TEXT]) == [UUID(TEXT)]
