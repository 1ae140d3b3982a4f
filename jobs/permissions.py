"""Who may do what with jobs: Django's permissions, and one for running each job class."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser, Permission, User
from django.contrib.contenttypes.models import ContentType

from jobs import registry
from jobs.models import JobStatus, Schedule
from jobs.spec import JobSpec
from jobs.workflows import declared

ADD = "jobs.add_jobstatus"  # run any class
VIEW = "jobs.view_jobstatus"
CHANGE = "jobs.change_jobstatus"  # retry and cancel
VIEW_SCHEDULES = "jobs.view_schedule"
CHANGE_SCHEDULES = "jobs.change_schedule"  # make, edit, pause, resume, backfill, delete

AnyUser = User | AnonymousUser


def run_codename(job_name: str) -> str:
    """Return the codename of the permission to run one job class."""
    return f"run_{job_name.lower()}"


def make(**_: Any) -> None:
    """Make the permission to run each registered class; a post_migrate receiver.

    A permission whose class is gone stays: somebody granted it, and the class may come back.
    """
    # A flush may have renumbered the content types since they were cached.
    ContentType.objects.clear_cache()
    content_type = ContentType.objects.get_for_model(JobStatus)
    Permission.objects.bulk_create(
        [
            Permission(
                content_type=content_type,
                codename=run_codename(spec.name),
                name=f"Can run {spec.name}",
            )
            for spec in registry.specs()
        ],
        ignore_conflicts=True,
    )


def may_run(user: AnyUser, job_name: str) -> bool:
    """Whether `user` may dispatch jobs of this class."""
    return user.has_perm(ADD) or user.has_perm(f"jobs.{run_codename(job_name)}")


def runnable(user: AnyUser) -> list[JobSpec]:
    """Return the specs of the classes that `user` may run, by name."""
    return [spec for spec in registry.specs() if may_run(user, spec.name)]


def may_view(user: AnyUser) -> bool:
    """Whether `user` may read jobs: also given with the right to change them, as in the admin."""
    return user.has_perm(VIEW) or user.has_perm(CHANGE)


def may_change(user: AnyUser) -> bool:
    """Whether `user` may retry and cancel jobs."""
    return user.has_perm(CHANGE)


def may_view_schedules(user: AnyUser) -> bool:
    """Whether `user` may read schedules: also given with the right to change them."""
    return user.has_perm(VIEW_SCHEDULES) or user.has_perm(CHANGE_SCHEDULES)


def may_change_schedules(user: AnyUser) -> bool:
    """Whether `user` may pause, resume, delete and, with the right to run its jobs, write them."""
    return user.has_perm(CHANGE_SCHEDULES)


def may_run_schedule(user: AnyUser, schedule: Schedule) -> bool:
    """Whether `user` may run every job class of a schedule: asked before any of its jobs is made.

    Also before a schedule is edited: who may not run a class shall not have it run either.
    """
    return all(may_run(user, job_class) for job_class in classes_of(schedule))


def classes_of(schedule: Schedule) -> list[str]:
    """Return the names of the job classes that a schedule makes jobs of.

    Of steps of which none can be read one without a name, which only who may run any may run.
    """
    if schedule.steps is None:
        return [schedule.job_class]
    steps = declared.readable(schedule.steps).values()
    return sorted({str(step.get("job", "")) for step in steps}) or [""]
