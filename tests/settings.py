"""The site's settings, with the tests' own job classes."""

from __future__ import annotations

import os

os.environ.setdefault("ENVIRONMENT", "development")

from jobsite.settings import *  # noqa: E402, F403
from jobsite.settings import INSTALLED_APPS  # noqa: E402

INSTALLED_APPS = [*INSTALLED_APPS, "tests"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
