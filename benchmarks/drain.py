"""How fast one worker drains no-op jobs, beside rq's own SimpleWorker and forking Worker.

Every job of ours is a row that is inserted, started and settled in PostgreSQL with fsync on; rq's
are Redis entries only. The workers take turns, several rounds; the figures are jobs a second by the
wall, start of the process included, and their ratio round by round.

On servers of its own:

    manage.py devstack exec --fresh --folder var/bench -- python benchmarks/drain.py
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import django
from rq import Queue
from rq.serializers import JSONSerializer

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
os.environ.setdefault("LOG_LEVEL", "WARNING")
sys.path.insert(0, ".")
django.setup()

from django.core.management import call_command  # noqa: E402

from jobs.broker import client  # noqa: E402
from tests import jobs  # noqa: E402

ROUNDS = 3
JOBS = 1_000
FORKING_JOBS = 100  # it is an order of magnitude slower


def drained_by_us() -> float:
    client.for_work().flushdb()
    jobs.Echo.dispatch_many([{"value": "x"}] * JOBS)
    return JOBS / seconds_of([sys.executable, "manage.py", "rqworker", "default", "--burst"])


def drained_by_rq(worker_class: str, count: int) -> float:
    client.for_work().flushdb()
    queue = Queue("default", connection=client.for_work(), serializer=JSONSerializer)
    queue.enqueue_many([queue.prepare_data("operator.add", (1, 2)) for _ in range(count)])
    url = os.environ["REDIS_URL"]
    command = [str(Path(sys.executable).parent / "rq"), "worker", "--burst", "--url", url]
    command += ["--worker-class", worker_class, "--serializer", "json", "--quiet", "default"]
    return count / seconds_of(command)


def seconds_of(command: list[str]) -> float:
    begun = time.monotonic()
    subprocess.run(  # noqa: S603 - our own commands
        command, check=True, env={**os.environ, "PYTHONPATH": "."}, timeout=300
    )
    return time.monotonic() - begun


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    call_command("migrate", verbosity=0)
    rounds = [
        (
            drained_by_us(),
            drained_by_rq("rq.SimpleWorker", JOBS),
            drained_by_rq("rq.Worker", FORKING_JOBS),
        )
        for _ in range(ROUNDS)
    ]
    for ours, simple, forking in rounds:
        print(
            f"jobs/s  ours {ours:7.0f}   rq SimpleWorker {simple:7.0f}   rq Worker {forking:7.0f}"
            f"   ours/Simple {ours / simple:5.2f}   ours/Worker {ours / forking:5.2f}"
        )
    print(f"median ours/SimpleWorker {statistics.median(o / s for o, s, _ in rounds):.2f}")
    print(f"median ours/Worker       {statistics.median(o / f for o, _, f in rounds):.2f}")


if __name__ == "__main__":
    main()
