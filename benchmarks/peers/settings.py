"""What the peers that live in Django share: the database, and connections that stay open."""

from __future__ import annotations

import os
from urllib.parse import parse_qs, unquote, urlsplit

_parts = urlsplit(os.environ["DATABASE_URL"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _parts.path.lstrip("/"),
        "USER": _parts.username or "",
        "PASSWORD": unquote(_parts.password or ""),
        "HOST": parse_qs(_parts.query).get("host", [_parts.hostname or ""])[0],
        "PORT": str(_parts.port or ""),
        "CONN_MAX_AGE": 600,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "for-benchmarks-only"  # noqa: S105 - it guards nothing
USE_TZ = True
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth"]
