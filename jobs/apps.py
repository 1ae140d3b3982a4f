"""The wiring: what happens once when Django has loaded the app."""

from __future__ import annotations

import logging
from typing import Any

from django.apps import AppConfig
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules


class JobsConfig(AppConfig):
    """Forces JSON on rq, finds every app's job classes, makes their permissions."""

    name = "jobs"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Jobs"

    def ready(self) -> None:
        """Wire the app; imports stand here because models are only now ready."""
        from jobs import checks, permissions  # noqa: F401, PLC0415
        from jobs.broker import serializer  # noqa: PLC0415
        from jobs.builtin import import_csv, truncate_table  # noqa: F401, PLC0415

        if logging.getLogger("django.db.backends").isEnabledFor(logging.DEBUG):
            connection_created.connect(_log_statements, dispatch_uid="jobs.log_statements")
        serializer.force_json()
        autodiscover_modules("jobs")
        post_migrate.connect(permissions.make, sender=self, dispatch_uid="jobs.permissions")


def _log_statements(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    # Django logs statements only under DEBUG, which production refuses; SQL_LOG_LEVEL asks too.
    connection.force_debug_cursor = True
