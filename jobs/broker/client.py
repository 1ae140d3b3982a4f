"""This process's Redis connection, with bounds on how long anybody waits for it."""

from __future__ import annotations

import os
from functools import cache

from django.conf import settings
from django_rq.connection_utils import get_redis_connection
from redis import Redis
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.exceptions import RedisError
from redis.retry import Retry

from jobs import conf
from jobs.broker import keys, poison

# What the other rooms pass on without knowing it.
Client = Redis
# What a caller catches of Redis: down, hung, loading, read-only, wrong password.
Unreachable = RedisError

# Together they bound a dispatch against a hung Redis to half a second.
PUSH_CONNECT_SECONDS = 0.2
PUSH_ANSWER_SECONDS = 0.25
_WORK_SECONDS = 2.0

# Left to itself each connection reads its library's version from the installed package's metadata:
# a millisecond, and 2 MiB that a runner would no longer share.
_DRIVER = DriverInfo()


def for_push() -> Redis:
    """Return the connection that a dispatch uses: it gives up within half a second."""
    return _client(os.getpid(), PUSH_CONNECT_SECONDS, PUSH_ANSWER_SECONDS)


def for_work() -> Redis:
    """Return the connection that workers, duties and pages use: it gives up after two seconds."""
    return _client(os.getpid(), _WORK_SECONDS, _WORK_SECONDS)


def try_write() -> None:
    """Write to Redis what is gone at once; as quick to give up as a dispatch.

    Raises:
        Unreachable: It doesn't take writes: hung, down, loading, read-only, full.
    """
    for_push().set(keys.PROBE, "", px=1)


@cache
def _client(_pid: int, connect_seconds: float, answer_seconds: float) -> Redis:
    # One client a process: a forked child must not share its parent's socket.
    first = settings.RQ_QUEUES[conf.current().queues[0]]
    client = get_redis_connection(first)
    pool = client.connection_pool
    pool.connection_kwargs |= {
        "socket_connect_timeout": connect_seconds,
        "socket_timeout": answer_seconds,
        # A repeated EXEC would push twice; and our callers have the relay behind them.
        "retry": Retry(NoBackoff(), 0),
        "driver_info": _DRIVER,
    }
    return poison.Proof(connection_pool=pool)
