"""A named right that one process holds until it expires."""

from __future__ import annotations

from django.db import models


class Lease(models.Model):
    """Who may do the duties; taken and renewed by one statement in maintenance/leader.py."""

    name = models.CharField(max_length=50, primary_key=True)
    holder = models.UUIDField()
    holder_name = models.CharField(max_length=200, blank=True, default="")
    expires_at = models.DateTimeField()  # by the database's wall clock

    class Meta:
        db_table = "job_leases"

    def __str__(self) -> str:
        return self.name
