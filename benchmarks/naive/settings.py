"""A new Django project with django-rq in it, and nothing tuned for good or ill."""

from __future__ import annotations

import os

import environ

DATABASE = environ.Env.db_url_config(os.environ["DATABASE_URL"])
DATABASE["HOST"] = DATABASE.get("OPTIONS", {}).pop("host", "") or DATABASE["HOST"]
DATABASES = {"default": DATABASE}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "for-benchmarks-only"  # noqa: S105 - it guards nothing
USE_TZ = True
INSTALLED_APPS = [  # startproject's, and the two
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_rq",
    "benchmarks.naive",
]
MIDDLEWARE = [  # startproject's
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
STATIC_URL = "static/"
RQ_QUEUES = {name: {"URL": os.environ["REDIS_URL"]} for name in ("high", "default", "low")}
