"""What a runner says of the ends that it keeps."""

from __future__ import annotations

from typing import Any

from jobs.lifecycle.outcomes import Completed, Settlement
from jobs.models import JobStatus
from jobs.models.job_status import new_job_id
from jobs.processes import channel
from jobs.runner.kept import Kept
from jobs.runner.run import Ran
from tests.jobs import Echo

MANY = 2_000  # async jobs whose rows somebody holds, say by cancelling all of them at once


def ran() -> Ran:
    job = JobStatus(id=new_job_id(), job_class=Echo.spec.name, claim=1, attempt=1)
    settlement = Settlement(job_id=job.id, claim=1, outcome=Completed(result=None))
    return Ran(job=job, settlement=settlement)


def test_of_many_is_said_as_much_at_once_as_a_message_holds() -> None:
    supervisors, runners = channel.pair()
    said: dict[str, list[str]] = {"entered": [], "left": []}

    def say(**message: Any) -> None:
        channel.send(runners, message)
        heard, _ = channel.receive(supervisors)
        assert heard is not None
        said[heard["say"]] += heard.get("ids") or [job["job_id"] for job in heard["jobs"]]

    kept = Kept(say)
    rans = [ran() for _ in range(MANY)]

    kept.keep(rans)
    kept.let_go(rans)

    ids = [str(one.job.id) for one in rans]
    assert said == {"entered": ids, "left": ids}
    supervisors.close()
    runners.close()
