"""django-ox, as its guide sets it up; its worker asks for connections that stay open."""

from __future__ import annotations

from benchmarks.peers.settings import *  # noqa: F403
from benchmarks.peers.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "django_ox"]
TASKS = {
    "default": {
        "BACKEND": "django_ox.backend.OxBackend",
        "QUEUES": ["high", "default", "low"],
    }
}
