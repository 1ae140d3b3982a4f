"""The site's settings: environment in, Django's names out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

# --- Environment -------------------------------------------------------------------------------
# Real environment variables win over .env. What a running `make run` wrote is for other terminals
# beside it, not for a deployment from the same folder: a killed one leaves it behind.
env_files = [BASE_DIR / ".env"]
if not {"ENVIRONMENT", "SECRET_KEY", "ALLOWED_HOSTS"} & os.environ.keys():
    env_files.append(BASE_DIR / "var" / "devstack.env")
env = environ.Env()
for env_file in env_files:
    if env_file.is_file():
        env.read_env(env_file)

ENVIRONMENT = env.str("ENVIRONMENT", default="production")
if ENVIRONMENT not in {"production", "development"}:
    raise ImproperlyConfigured(
        f"ENVIRONMENT is {ENVIRONMENT!r}: set it to 'production' or 'development'."
    )
IN_PRODUCTION = ENVIRONMENT == "production"

SECRET_LENGTH = 50  # characters, as Django's own deploy check asks
SECRET_KEY = env.str("SECRET_KEY", default="" if IN_PRODUCTION else "for-development-only")
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=[] if IN_PRODUCTION else ["localhost", "127.0.0.1"]
)
DATABASE_URL = env.str("DATABASE_URL", default="")
REDIS_URL = env.str("REDIS_URL", default="")

if IN_PRODUCTION:
    faults = [
        text
        for found, text in (
            (
                len(SECRET_KEY) < SECRET_LENGTH,
                "SECRET_KEY is missing or short: set 50 random characters",
            ),
            (DEBUG, "DEBUG is on: unset it"),
            ("*" in ALLOWED_HOSTS, "ALLOWED_HOSTS has '*': name your hosts"),
            (not DATABASE_URL, "DATABASE_URL is missing: postgres://user:password@host:5432/name"),
            (not REDIS_URL, "REDIS_URL is missing: redis://host:6379/0"),
        )
        if found
    ]
    if faults:
        raise ImproperlyConfigured(
            "Not safe for production (ENVIRONMENT=development lifts this on your machine):\n  - "
            + "\n  - ".join(faults)
        )

# --- Applications ------------------------------------------------------------------------------
INSTALLED_APPS = [
    "jobs.apps.JobsConfig",  # before django_rq: its commands stand in for django_rq's
    "jobsite.apps.AdminConfig",  # django.contrib.admin, without its pages in workers
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_rq",
]

MIDDLEWARE = [
    "jobs.api.middleware.ProblemDetails",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "jobsite.urls"
WSGI_APPLICATION = "jobsite.wsgi.application"
ASGI_APPLICATION = "jobsite.asgi.application"
APPEND_SLASH = True

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "libraries": {"jobs_admin": "jobs.admin.tags"},
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- PostgreSQL --------------------------------------------------------------------------------
DATABASE = environ.Env.db_url_config(DATABASE_URL or "postgres:///jobsite")
if DATABASE.get("ENGINE") != "django.db.backends.postgresql":
    raise ImproperlyConfigured(
        "DATABASE_URL is no address of PostgreSQL: write postgres://user:password@host:5432/name"
    )
# libpq's way to name a socket's folder, `?host=/folder`, in the place where Django looks for it.
DATABASE["HOST"] = DATABASE.get("OPTIONS", {}).pop("host", "") or DATABASE["HOST"]
DATABASES = {
    "default": {
        **DATABASE,
        "CONN_MAX_AGE": env.int("CONN_MAX_AGE", default=60),
        "CONN_HEALTH_CHECKS": True,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis and rq ------------------------------------------------------------------------------
RQ_REDIS_URL = REDIS_URL or "redis://127.0.0.1:6379/0"
RQ_QUEUES = {
    name: {"URL": RQ_REDIS_URL, "SERIALIZER": "rq.serializers.JSONSerializer"}
    for name in env.list("QUEUES", default=["high", "default", "etl", "low"])
}
RQ = {
    "WORKER_CLASS": "jobs.worker.supervisor.Supervisor",
    "SCHEDULER_CLASS": "jobs.schedules.scheduler.Scheduler",
}
RQ_SHOW_ADMIN_LINK = False  # jobs.admin.rq_dashboard mounts the dashboard, behind its permission

# --- Jobs --------------------------------------------------------------------------------------
JOBS: dict[str, Any] = {
    # Nothing by default; on a development machine the demo's own tables.
    "TRUNCATABLE_TABLES": env.list(
        "TRUNCATABLE_TABLES", default=[] if IN_PRODUCTION else ["public.daily_stats"]
    ),
    "IMPORT_TABLES": env.list(
        "IMPORT_TABLES", default=[] if IN_PRODUCTION else ["public.airports"]
    ),
    "IMPORT_FOLDERS": env.list("IMPORT_FOLDERS", default=[str(BASE_DIR / "var" / "imports")]),
    "IMPORT_HOSTS": env.list("IMPORT_HOSTS", default=[]),
}

JOB_SCHEDULES = {
    "truncate-daily-stats": {
        "job": "TruncateTable",
        "cron": "0 2 * * *",
        "params": {"schema": "public", "table_name": "daily_stats"},
        "queue": "low",
    },
    "import-airports": {
        "job": "ImportCsv",
        "cron": "0 1 * * mon-fri",
        "params": {
            "source": "airports.csv",
            "table": "public.airports",
            "mode": "upsert",
            "key": ["icao"],
        },
        "queue": "etl",
    },
}

# --- REST --------------------------------------------------------------------------------------
# The API's own views depend on none of these: they are for what a project adds.
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "jobs.api.authentication.BearerToken",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "jobs.api.problems.handle",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Jobsite",
    "DESCRIPTION": "Dispatch background jobs and follow them.",
    "VERSION": "0.1.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "jobs.api.schema.with_job_classes",
    ],
    "ENUM_NAME_OVERRIDES": {
        "StatusEnum": "jobs.api.serializers.STATUSES",
        "BackfillStatusEnum": "jobs.api.schedule_serializers.BACKFILL_STATUSES",
    },
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None},
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# --- Passwords, cookies, TLS -------------------------------------------------------------------
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "admin:login"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IN_PRODUCTION
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=IN_PRODUCTION)
SECURE_REDIRECT_EXEMPT = [r"^live/?$", r"^ready/?$"]
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000 if IN_PRODUCTION else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = IN_PRODUCTION
if env.bool("BEHIND_TLS_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
DATA_UPLOAD_MAX_MEMORY_SIZE = env.int("MAX_REQUEST_BYTES", default=4 * 1024 * 1024)

# --- Language, time, files ---------------------------------------------------------------------
LANGUAGE_CODE = "en-us"
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_I18N = True
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "static"
WHITENOISE_USE_FINDERS = not IN_PRODUCTION
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if IN_PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# --- Logs --------------------------------------------------------------------------------------
# At SQL_LOG_LEVEL=DEBUG statements are logged with their values, params included.
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
SQL_LOG_LEVEL = env.str("SQL_LOG_LEVEL", default="WARNING").upper()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "class": "jobs.log_lines.LineFormatter",
            "format": "%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        }
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "stream": "ext://jobs.log_lines.STDERR",
            "formatter": "line",
        }
    },
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "jobs": {"level": LOG_LEVEL},
        "django": {"level": LOG_LEVEL},
        "django.db.backends": {"level": SQL_LOG_LEVEL},
        "rq": {"level": LOG_LEVEL},
    },
}
