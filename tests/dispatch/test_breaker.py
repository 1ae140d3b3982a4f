"""One dispatch pays for a Redis that hangs; a probe finds out when it is back."""

from __future__ import annotations

import os
import threading
import time
from statistics import median

import pytest

from jobs.broker import client, keys
from jobs.dispatch import outbox
from jobs.lifecycle import control
from jobs.models import JobStatus
from tests import wait
from tests.jobs import Echo
from tests.servers import OwnRedis

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]

BOUND_SECONDS = 0.5  # as promised


def probes() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "redis probe"]


def seconds_of(deed) -> float:
    begun = time.monotonic()
    deed()
    return time.monotonic() - begun


def test_a_persons_retries_and_cancels_are_not_delayed_after_it_either(own_redis: OwnRedis):
    jobs = [Echo.dispatch() for _ in range(20)]
    own_redis.pause()
    first_seconds = seconds_of(lambda: control.cancel([jobs[0].id], by="ann"))

    seconds = []
    for job in jobs[1:]:
        seconds.append(seconds_of(lambda job=job: control.cancel([job.id], by="ann")))
        seconds.append(seconds_of(lambda job=job: control.retry([job.id], by="ann")))

    # A busy machine adds to each; asking Redis again would add its wait to nearly all of them.
    assert client.PUSH_ANSWER_SECONDS < first_seconds < 4 * BOUND_SECONDS
    assert median(seconds) < client.PUSH_ANSWER_SECONDS / 2
    assert sum(one > client.PUSH_ANSWER_SECONDS for one in seconds) <= len(seconds) / 4


def test_the_next_dispatch_is_pushed_once_redis_answers_again(own_redis: OwnRedis, caplog):
    own_redis.pause()
    Echo.dispatch()
    own_redis.resume()

    wait.until("the breaker closed", lambda: not outbox.breaker.is_open)
    job = Echo.dispatch()

    assert client.for_work().exists(keys.entry(job.id))
    assert "Redis answers again after" in caplog.text
    wait.until("the probe's end", lambda: not probes())


def test_a_redis_that_answers_but_takes_no_writes_is_left_alone(own_redis: OwnRedis):
    redis = client.for_work()
    redis.replicaof("127.0.0.1", "1")  # read-only from now on
    Echo.dispatch()
    asked = redis.info("stats")["total_error_replies"]
    wait.until("some questions", lambda: redis.info("stats")["total_error_replies"] >= asked + 2)
    assert outbox.breaker.is_open

    redis.replicaof("NO", "ONE")

    wait.until("the breaker closed", lambda: not outbox.breaker.is_open)


def test_only_one_probe_asks_however_many_threads_trip(own_redis: OwnRedis):
    own_redis.kill()
    together = threading.Barrier(20)

    def trip() -> None:
        together.wait()
        outbox.breaker.trip()

    threads = [threading.Thread(target=trip) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    wait.until("one probe", lambda: len(probes()) == 1)


def test_a_forked_child_asks_for_itself(own_redis: OwnRedis):
    own_redis.kill()
    outbox.breaker.trip()
    own_redis.start()
    pid = os.fork()
    if pid == 0:
        try:
            inherits = outbox.breaker.is_open
            wait.until("closed in the child", lambda: not outbox.breaker.is_open, limit_seconds=10)
            os._exit(0 if inherits else 1)
        finally:
            os._exit(2)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert JobStatus.objects.count() == 0
