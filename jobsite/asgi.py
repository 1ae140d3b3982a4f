"""The site as an ASGI application."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jobsite.settings")

site = get_asgi_application()

from jobs.api.body_limit import BodyLimit  # noqa: E402 - only now are the apps loaded

application = BodyLimit(site)
