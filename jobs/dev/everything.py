"""The site on its servers: prepared, started, shown, and restarted when its code changes."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from pathlib import Path

from jobs.dev import first_job, site
from jobs.dev.output import Stream
from jobs.dev.reload import Watcher
from jobs.dev.stack import Stack

_PREPARE_SECONDS = 300.0
_WEB_SECONDS = 60.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Where the site is, and what its processes are told.

    Attributes:
        project: The folder of manage.py.
        answer: A file for the demo's user and token, on their way from one process to another.
    """

    project: Path
    answer: Path
    environment: Mapping[str, str]
    port: int


def run(plan: Plan, stack: Stack, stream: Stream) -> None:
    """Run the site until the stack is told to stop. Call with the servers up."""
    if not _start(plan, stack):
        return
    address = f"http://localhost:{plan.port}"
    access = site.read_access(plan.answer)
    stream.write(first_job.banner(address, access))
    threading.Thread(
        target=first_job.follow,
        args=(address, access["token"], stream, lambda: stack.is_stopping),
        name="first job",
        daemon=True,
    ).start()
    _watch(plan.project, stack, stream)


def _start(plan: Plan, stack: Stack) -> bool:
    # The web server takes as long to import as the migrations to look; only a request needs both.
    stack.start(site.web(plan.environment, plan.port))
    preparation = stack.start(site.preparation(plan.environment, plan.answer))
    is_prepared = stack.wait_until(
        lambda: preparation.has_ended, seconds=_PREPARE_SECONDS, what="The preparation"
    )
    if not is_prepared:
        return False
    if preparation.process.returncode != 0:
        stack.fail(preparation, "failed")
        return False
    stack.start(site.worker(plan.environment))
    stack.start(site.scheduler(plan.environment))
    return stack.wait_until(
        lambda: site.answers(plan.port), seconds=_WEB_SECONDS, what="The web server"
    )


def _watch(project: Path, stack: Stack, stream: Stream) -> None:
    watcher = Watcher(project)
    watcher.start()
    try:
        while not stack.is_stopping and not stream.is_closed:
            stack.step()
            changed = watcher.take()
            if changed:
                stream.line("reload", f"{', '.join(map(str, changed[:3]))} changed")
                stack.reload()
    finally:
        watcher.stop()
