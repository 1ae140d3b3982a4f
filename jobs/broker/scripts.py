"""Scripts that Redis keeps: named by their digest, sent again where it has forgotten them."""

from __future__ import annotations

from functools import cache

from redis import Redis
from redis.commands.core import Script


@cache
def script(client: Redis, text: str) -> Script:
    """Return the script of `text`, to be called with keys and args: one round trip.

    Redis runs it whole or, where its first command fails, not at all. After a restart or a SCRIPT
    FLUSH the next call loads it. Not for a pipeline, which asks for it at each execution.
    """
    return client.register_script(text)
