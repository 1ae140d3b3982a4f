from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from redis import Redis

from jobs.maintenance import relay
from tests import others, wait
from tests.jobs import AlwaysFail, Echo, Meet
from tests.workers import Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

DEFAULT = 0  # as django-rq numbers the queues, by name
GATE = 1


# django-rq's page of a failed job asks it.
@pytest.mark.filterwarnings("ignore:job.exc_info is deprecated:DeprecationWarning")
def test_workers_and_jobs_reappear_after_a_flush(
    workers: Workers, redis: Redis, admin_client: Client
):
    def page(name: str, *arguments: object) -> str:
        address = reverse(f"admin:django_rq_{name}", args=[DEFAULT, *arguments])
        return admin_client.get(address).content.decode()

    def shows(name: str, text: object) -> None:
        wait.until(f"{text} on the page {name}", lambda: str(text) in page(name))

    worker = workers.start("default", heartbeat=0.5)
    completed = wait.until_status(Echo.dispatch(value="x"), "completed")
    failed = wait.until_status(AlwaysFail.dispatch(), "failed")
    with others.elsewhere() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [GATE])
        running = Meet.dispatch(gate=GATE)
        others.until_blocked()
        relay.push_lost()  # the relay has seen this Redis whole

        redis.flushdb()

        shows("started_jobs", running.id)
        shows("workers", worker.row.name)
        shows("finished_jobs", completed.id)
        shows("failed_jobs", failed.id)
        assert "this always fails" in page("job_detail", failed.id)
        assert running.job_class in page("job_detail", running.id)
        cursor.execute("SELECT pg_advisory_unlock(%s)", [GATE])

    wait.until_status(running, "completed")
    shows("finished_jobs", running.id)
    wait.until("nothing running", lambda: str(running.id) not in page("started_jobs"))
