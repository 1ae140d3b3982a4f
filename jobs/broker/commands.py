"""Commands to a worker, on the channel that rq's own commands take."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from redis import Redis

from jobs.broker import keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Which attempt, and who runs it; a runner that has moved on ignores it."""

    worker_name: str
    job_id: UUID
    claim: int


def stop(client: Redis, stops: Iterable[Stop]) -> None:
    """Tell workers to stop these attempts. Nobody need hear it: the row says it too."""
    with client.pipeline(transaction=False) as pipe:
        for one in stops:
            payload = {"command": "stop-job", "job_id": str(one.job_id), "claim": one.claim}
            pipe.publish(keys.commands(one.worker_name), json.dumps(payload))
        pipe.execute()
