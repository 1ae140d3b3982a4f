"""What the django-rq dashboard is about to show or act on."""

from __future__ import annotations

from typing import cast

from redis import Redis

from jobs.broker import keys


def failed_ids(client: Redis, queue: str) -> list[str]:
    """Return the ids that the dashboard lists as failed in `queue`, ours and plain rq's."""
    raw = cast("list[bytes]", client.zrange(keys.failed(queue), 0, -1))
    return [entry.decode(errors="replace") for entry in raw]


def worker_key(client: Redis, given: str) -> str | None:
    """Return the key of the worker that an address names, by key or by name; None if it is gone."""
    key = given if given.startswith(keys.worker("")) else keys.worker(given)
    return key if client.exists(key) else None
