"""`manage.py rqworker`: django-rq's command with --concurrency, without what breaks promises."""

from __future__ import annotations

from argparse import ArgumentTypeError
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django_rq.management.commands import rqworker
from django_rq.workers import get_worker_class

from jobs import conf
from jobs.processes import mother
from jobs.worker.supervisor import ENTRIES, Supervisor

MAX_CONCURRENCY = 64
MAX_GRACE_SECONDS = 86_400
MAX_NAME = 200  # characters; of job_workers.name
# Options of django-rq's command that can't be given, and why.
_REFUSED = {
    "with_scheduler": "--with-scheduler: schedules run in `manage.py rqscheduler`.",
    "job_class": "--job-class: a job's class is its row's; entries in Redis hold only the id.",
    "queue_class": "--queue-class: the queues are RQ_QUEUES'.",
}
_JSON = {"json", "rq.serializers.JSONSerializer", "rq.serializers.DefaultSerializer"}


class Command(rqworker.Command):
    """Run a worker: one supervisor, and --concurrency runners."""

    help = (
        "Runs jobs from the given queues, the first one first; without names from `default`. "
        "Example: manage.py rqworker high low --concurrency 4. "
        "SIGTERM lets running jobs finish within the --grace, a second one gives them back at once."
    )
    # The others are for the web's processes and `manage.py check`: they import every view.
    requires_system_checks = ("jobs",)

    def add_arguments(self, parser: CommandParser) -> None:
        """Add --concurrency, --async-slots and --grace to django-rq's options."""
        super().add_arguments(parser)
        parser.add_argument(
            "--concurrency",
            type=_concurrency,
            default=1,
            metavar="N",
            help="How many sync jobs to run at once, each in a process of its own (default: 1).",
        )
        parser.add_argument(
            "--async-slots",
            type=_async_slots,
            metavar="N",
            help="How many jobs written as `async def _perform` each runner runs at once, beside a "
            'sync one (default: JOBS["ASYNC_SLOTS"], 100).',
        )
        parser.add_argument(
            "--grace",
            type=_grace,
            metavar="SECONDS",
            help="What a stop leaves running jobs before they are interrupted and given back; keep "
            'it below what your process manager waits before it kills (default: JOBS["GRACE"], '
            "25).",
        )

    def handle(self, *args: str, **options: Any) -> None:
        """Fork the mother first: after that this process has threads and sockets."""
        self._refuse(args, options)
        worker_class = get_worker_class(options["worker_class"])
        if not issubclass(worker_class, Supervisor):
            raise CommandError(
                f"{worker_class.__name__} is no {Supervisor.__name__}: rq's own workers lose jobs. "
                'Set RQ["WORKER_CLASS"] to "jobs.worker.supervisor.Supervisor".',
                returncode=2,
            )
        options["worker_class"] = partial(
            worker_class,
            concurrency=options.pop("concurrency"),
            grace_seconds=options.pop("grace"),
            async_slots=options.pop("async_slots"),
            mother=mother.start(ENTRIES),
        )
        super().handle(*(args or ("default",)), **options)

    def _refuse(self, queues: tuple[str, ...], options: dict[str, Any]) -> None:
        for name, why in _REFUSED.items():
            if options[name]:
                raise CommandError(f"Not supported: {why}", returncode=2)
        if options["serializer"] not in _JSON:
            raise CommandError(
                "Not supported: --serializer: Redis holds JSON or nothing.", returncode=2
            )
        for name in ("max_jobs", "max_idle_time"):
            if options[name] is not None and options[name] < 1:
                option = f"--{name.replace('_', '-')}"
                raise CommandError(
                    f"{option} is a whole number from 1, not {options[name]}.", returncode=2
                )
        if len(options["name"] or "") > MAX_NAME or not (options["name"] or "").isprintable():
            raise CommandError(
                f"--name: up to {MAX_NAME} characters that can be printed.", returncode=2
            )
        unknown = [name for name in queues if name not in settings.RQ_QUEUES]
        if unknown:
            raise CommandError(
                f"No queue is named {', '.join(map(repr, unknown))}. "
                f"Queues are: {', '.join(settings.RQ_QUEUES)}.",
                returncode=2,
            )


def _concurrency(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_CONCURRENCY:
        raise ArgumentTypeError(f"a whole number from 1 to {MAX_CONCURRENCY}, not {text!r}")
    return int(text)


def _async_slots(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= conf.MAX_ASYNC_SLOTS:
        raise ArgumentTypeError(f"a whole number from 1 to {conf.MAX_ASYNC_SLOTS:,}, not {text!r}")
    return int(text)


def _grace(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_GRACE_SECONDS:
        raise ArgumentTypeError(f"seconds from 0 to {MAX_GRACE_SECONDS}, not {text!r}")
    return seconds
