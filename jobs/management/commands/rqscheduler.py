"""django-rq's command, with our scheduler: it looks each second, whatever `--interval` says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import django_rq
from django.core.management.base import CommandParser
from django_rq.management.commands import rqscheduler

from jobs import conf


class Command(rqscheduler.Command):
    """Make the ticks of settings.JOB_SCHEDULES until SIGTERM or Ctrl-C."""

    help = (
        "Make the ticks of settings.JOB_SCHEDULES: each due moment becomes one job, "
        "however many of these processes run."
    )
    requires_system_checks = ("jobs",)  # the others import every view

    def add_arguments(self, parser: CommandParser) -> None:
        """Take django-rq's options, with our defaults."""
        super().add_arguments(parser)
        parser.set_defaults(interval=1, queue=conf.current().queues[0])

    def handle(self, *_: Any, **options: Any) -> None:
        """Run; django-rq's own handle would log every line of rq-scheduler's twice."""
        if options["pid"]:
            Path(options["pid"]).expanduser().write_text(str(os.getpid()), encoding="ascii")
        django_rq.get_scheduler(name=options["queue"], interval=max(1, options["interval"])).run()
