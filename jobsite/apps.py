"""The site's own wiring of Django's admin."""

from __future__ import annotations

import sys

from django.contrib import admin
from django.contrib.admin.apps import SimpleAdminConfig

# They serve no page. What does, urls.py, finds the admin's pages itself.
WITHOUT_PAGES = ("rqworker", "rqscheduler")


class AdminConfig(SimpleAdminConfig):
    """Finds every app's admin pages, as Django's own does, except where none is served."""

    def ready(self) -> None:
        """Register the admin's checks; import its pages, unless this is a worker or a scheduler."""
        super().ready()
        if sys.argv[1:2] not in ([name] for name in WITHOUT_PAGES):
            admin.autodiscover()
