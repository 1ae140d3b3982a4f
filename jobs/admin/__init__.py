"""The control room: what people see and do in Django's admin."""

from __future__ import annotations

from jobs.admin import api_tokens, jobs, rq_dashboard, workers
from jobs.admin.schedules import model_admins

__all__ = ["api_tokens", "jobs", "model_admins", "rq_dashboard", "workers"]
