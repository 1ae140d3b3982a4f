from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.db import DatabaseError, connection

from jobs.models import JobStatus
from tests import wait
from tests.jobs import Echo
from tests.servers import OwnPostgres
from tests.workers import Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]


def answers() -> bool:
    try:
        return Permission.objects.exists()
    except DatabaseError:
        connection.close()
        return False


def test_a_test_and_its_workers_use_a_cluster_of_their_own(
    own_postgres: OwnPostgres, workers: Workers
):
    workers.start("default")

    job = Echo.dispatch(value="x")

    wait.until_status(job, "completed")
    assert own_postgres.query("SELECT status FROM job_statuses") == [("completed",)]


@pytest.mark.parametrize("how", ["fast", "immediate", "killed"])
def test_what_was_committed_outlives_every_restart(own_postgres: OwnPostgres, how: str):
    job = Echo.dispatch(value="x")

    if how == "killed":
        own_postgres.kill()
        assert not answers()
        own_postgres.start()
    else:
        own_postgres.restart(immediate=how == "immediate")

    wait.until("an answer", answers)
    assert JobStatus.objects.get().id == job.id


def test_cut_connections_are_noticed(own_postgres: OwnPostgres):
    assert answers()

    assert own_postgres.cut_connections() == 1

    assert not answers()
    assert answers()


def test_afterwards_the_tests_database_is_as_before():
    assert connection.settings_dict["NAME"].startswith("test_")
    assert not JobStatus.objects.exists()
