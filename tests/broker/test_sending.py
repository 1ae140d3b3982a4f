"""Pushes that nobody waits for: each is answered before the next, and none is taken for another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from redis import Redis

from jobs.broker import client, keys, sending
from jobs.broker.push import Entry, datetime
from jobs.broker.sending import Line
from jobs.errors import JobTimeout
from tests import wait
from tests.servers import OwnRedis

pytestmark = pytest.mark.redis

MOMENT = datetime(2026, 1, 1)


def entry(queue: str = "high") -> Entry:
    return Entry(job_id=str(uuid4()), queue=queue, claim=0, data=b"[]", created_at=MOMENT)


def push(line: Line, *entries: Entry) -> None:
    line.hear()
    line.send(entries)


def queued(redis: Redis, queue: str = "high") -> list[str]:
    return [item.decode() for item in redis.lrange(keys.queue(queue), 0, -1)]


@pytest.fixture
def line(own_redis: OwnRedis) -> Iterator[Line]:
    """This thread's line to a Redis of the test's own, with a first push behind it."""
    line = sending.line()
    push(line, entry("low"))
    yield line
    own_redis.resume()


def in_a_thread(deed: Callable[[], None]) -> None:
    thread = threading.Thread(target=deed)
    thread.start()
    thread.join()


def test_pushes_come_in_their_order(line: Line):
    entries = [entry() for _ in range(20)]
    for each in entries:
        push(line, each)

    line.hear()

    assert queued(client.for_work()) == [each.job_id for each in entries]


def test_a_push_is_not_waited_for_and_done_all_the_same(line: Line, own_redis: OwnRedis):
    sent = entry()
    own_redis.pause()
    push(line, sent)
    assert line.unheard

    own_redis.resume()
    line.hear()

    assert queued(client.for_work()) == [sent.job_id]


def test_the_first_push_on_a_connection_is_waited_for(own_redis: OwnRedis):
    redis = client.for_work()
    redis.replicaof("127.0.0.1", "1")  # read-only

    with pytest.raises(client.Unreachable, match="read only"):
        sending.line().send([entry()])


def test_the_first_push_tells_redis_the_script(own_redis: OwnRedis):
    sent = entry()

    sending.line().send([sent])

    assert not sending.line().unheard
    assert queued(client.for_work()) == [sent.job_id]


def test_a_script_that_redis_has_forgotten_is_said_again(line: Line):
    client.for_work().script_flush()
    entries = [entry(), entry()]

    for each in entries:
        push(line, each)
    line.hear()

    assert queued(client.for_work()) == [each.job_id for each in entries]


def test_a_key_of_the_wrong_type_is_put_aside_and_the_push_repeated(line: Line):
    redis = client.for_work()
    redis.set(keys.queue("high"), "planted")
    entries = [entry(), entry()]

    for each in entries:
        push(line, each)
    line.hear()

    assert queued(redis) == [each.job_id for each in entries]


def test_a_connection_that_redis_has_closed_is_opened_anew_and_loses_nothing(line: Line):
    entries = [entry(), entry()]
    push(line, entries[0])
    wait.until("the first", lambda: queued(client.for_work()))
    client.for_work().client_kill_filter(_type="normal", skipme=True)

    push(line, entries[1])

    assert queued(client.for_work()) == [each.job_id for each in entries]


def test_the_answer_to_a_push_that_a_timeout_cut_short_is_nobody_elses(
    line: Line, own_redis: OwnRedis
):
    def ring(*_: object) -> None:
        raise JobTimeout

    before = signal.signal(signal.SIGALRM, ring)
    own_redis.pause()
    push(line, entry())
    signal.setitimer(signal.ITIMER_REAL, client.PUSH_ANSWER_SECONDS / 5)
    with pytest.raises(JobTimeout):
        line.hear()
    signal.signal(signal.SIGALRM, before)
    own_redis.resume()
    client.for_work().set(keys.wake("default"), "planted")

    push(line, entry())
    push(line, refused := entry("default"))  # heard as the one before it, it would be lost
    line.hear()

    assert queued(client.for_work(), "default") == [refused.job_id]


def test_a_thread_that_ends_leaves_its_connection_to_the_next(line: Line):
    lines: list[Line] = []

    def deed() -> None:
        lines.append(sending.line())
        push(lines[-1], entry())

    for _ in range(10):
        in_a_thread(deed)

    assert line is not lines[0]
    assert all(each is lines[0] for each in lines)


def test_two_threads_share_no_connection(line: Line):
    both = threading.Barrier(2)
    lines: list[Line] = []

    def deed() -> None:
        lines.append(sending.line())
        both.wait()

    threads = [threading.Thread(target=deed) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({id(each) for each in (line, *lines)}) == 3


def test_a_forked_child_pushes_over_a_connection_of_its_own(line: Line, own_redis: OwnRedis):
    mine, childs = entry(), entry()
    redis_pid = own_redis.process.pid
    own_redis.pause()
    push(line, mine)
    pid = os.fork()
    if pid == 0:
        try:
            os.kill(redis_pid, signal.SIGCONT)
            push(sending.line(), childs)
            os._exit(0 if sending.line() is not line else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

    line.hear()

    assert set(queued(client.for_work())) == {mine.job_id, childs.job_id}


LEAVE = """
import os, sys
import django
django.setup()
from jobs.broker import sending
from jobs.broker.push import Entry, datetime
for job_id in sys.argv[1:]:
    sending.line().hear()
    sending.line().send([Entry(job_id, "high", 0, b"[]", datetime(2026, 1, 1))])
os.kill(os.getpid(), 9)
"""


def test_what_a_process_sent_just_before_it_was_killed_is_done(redis: Redis):
    ids = [str(uuid4()) for _ in range(3)]

    subprocess.run([sys.executable, "-c", LEAVE, *ids], check=False, timeout=60)

    wait.until("the last", lambda: queued(redis) == ids)
