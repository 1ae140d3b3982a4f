"""What Redis does when its memory is full."""

from __future__ import annotations

from redis import Redis
from redis.exceptions import ResponseError

SAFE_POLICY = "noeviction"


def fault(client: Redis) -> str:
    """Return what is wrong with Redis' eviction policy; "" where nothing is, or it won't say.

    Asks INFO, which servers answer that forbid CONFIG.

    Raises:
        broker.client.Unreachable: Redis is down or hangs.
    """
    try:
        policy = client.info("memory").get("maxmemory_policy", SAFE_POLICY)
    except ResponseError:
        return ""  # it forbids that, too
    if policy == SAFE_POLICY:
        return ""
    return (
        f"Redis throws keys away when its memory is full (maxmemory-policy is {policy}): jobs "
        f"would start late and out of order. Set it to {SAFE_POLICY}."
    )
