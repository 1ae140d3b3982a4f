"""Why is this job not running? Sentences for people, from the row and who is alive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from django.utils import timezone

from jobs import conf, registry
from jobs.insights import branch, presence, stats
from jobs.models import JobStatus
from jobs.statuses import HeldBy, Status

_NAMED = 5  # of the jobs that one waits for

_HELD = {
    HeldBy.LIMIT: "It is held until its limit has a free slot.",
    HeldBy.APPROVAL: "It is held until somebody approves it.",
}


def explain(job: JobStatus) -> list[str]:
    """Return why `job` is where it is, most important first; at most four short statements are run.

    Moments stand in the page beside it; the sentences name what they mean.
    """
    sentences = [*_cancel_request(job), *_BY_STATUS[Status(job.status)](job)]
    if registry.find(job.job_class) is None and not job.is_terminal:
        sentences.append(
            f"No job class named {job.job_class} is known here: an attempt will fail until the "
            "code that declares it is deployed."
        )
    return sentences


def _cancel_request(job: JobStatus) -> list[str]:
    if job.cancel_requested_at is None or job.is_terminal:
        return []
    why = f": {job.cancel_reason}" if job.cancel_reason else ""
    return [
        f"{job.cancel_requested_by or 'Somebody'} asked to cancel it{why}. Its worker stops it "
        "shortly; if it completes first, it is completed."
    ]


def _scheduled(job: JobStatus) -> list[str]:
    return [f"It waits for its time: {_moment(job.due_at)}."]


def _waiting(job: JobStatus) -> list[str]:
    if job.held_by == HeldBy.DEPENDENCY:
        return _waiting_for(job)
    return [_HELD.get(HeldBy(job.held_by), "It is held.") if job.held_by else "It is held."]


def _waiting_for(job: JobStatus) -> list[str]:
    parents = branch.parents(job.id)
    living = [parent for parent in parents if parent.is_living]
    if not living:
        return ["All jobs that it depends on have ended: it is about to be released."]
    some = "; ".join(f"{one.name} {one.job_id} ({one.status})" for one in living[:_NAMED])
    more = f"; and {len(living) - _NAMED} more" if len(living) > _NAMED else ""
    of_all = "the job" if len(parents) == 1 else f"{len(living)} of {len(parents)} jobs"
    return [f"It waits for {of_all} that it depends on: {some}{more}."]


def _queued(job: JobStatus) -> list[str]:
    before = stats.count_before(job)
    if not before.value:
        place = f"It is next in queue {job.queue}."
    elif before.value == 1 and not before.is_capped:
        place = f"One job is before it in queue {job.queue}."
    else:
        place = f"{before} jobs are before it in queue {job.queue}."
    return [place, _who_serves(job.queue)]


def _who_serves(queue: str) -> str:
    serving = [worker for worker in presence.living_workers() if presence.serves(worker, queue)]
    if not serving:
        return f"No living worker serves queue {queue}. Start one: manage.py rqworker {queue}"
    if len(serving) == 1:
        return f"Worker {serving[0].name} serves this queue."
    return f"{len(serving)} living workers serve this queue."


def _started(job: JobStatus) -> list[str]:
    worker = job.worker
    if worker is None:
        return [f"Attempt {job.attempt} of {job.max_attempts} is running."]
    sentences = [f"Attempt {job.attempt} of {job.max_attempts} runs on {worker.name}."]
    if worker.id not in {living.id for living in presence.living_workers()}:
        lease = int(conf.current().lease.total_seconds())
        sentences.append(
            f"That worker's heartbeat is older than {lease} s: unless it comes back, the attempt "
            "is settled as lost and the retry policy decides."
        )
    return sentences


def _retrying(job: JobStatus) -> list[str]:
    due = _moment(job.due_at)
    return [f"Attempt {job.attempt} of {job.max_attempts} failed; the next is due at {due}."]


def _completed(job: JobStatus) -> list[str]:
    if job.attempt == 1:
        return ["It completed on its first attempt."]
    return [f"It completed on attempt {job.attempt} of {job.max_attempts}."]


def _failed(job: JobStatus) -> list[str]:
    if job.losses >= conf.current().max_losses:
        return [f"It failed: it lost {job.losses} workers, so it is not tried again."]
    if job.attempt < job.max_attempts:
        return [
            f"It failed on attempt {job.attempt} of {job.max_attempts}; that error isn't retried."
        ]
    return [f"It failed: all {job.max_attempts} attempts are used up."]


def _cancelled(job: JobStatus) -> list[str]:
    if not job.cancel_requested_by:
        because = job.error.removeprefix("cancelled: ")
        if because != job.error:
            return [
                f"It was cancelled since a job that it depends on did not complete: {because}. "
                "Retry that one, and this one waits for it again."
            ]
        return ["It was cancelled."]
    why = f": {job.cancel_reason}" if job.cancel_reason else "."
    return [f"{job.cancel_requested_by} cancelled it{why}"]


_BY_STATUS: Mapping[Status, Callable[[JobStatus], list[str]]] = {
    Status.SCHEDULED: _scheduled,
    Status.WAITING: _waiting,
    Status.QUEUED: _queued,
    Status.STARTED: _started,
    Status.RETRYING: _retrying,
    Status.COMPLETED: _completed,
    Status.FAILED: _failed,
    Status.CANCELLED: _cancelled,
}


def _moment(value: datetime) -> str:
    return timezone.localtime(value).strftime("%Y-%m-%d %H:%M:%S %Z")
