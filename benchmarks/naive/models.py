"""The row that most teams put beside their queue."""

from __future__ import annotations

from django.db import models


class Row(models.Model):
    """One job: what was asked for, how far it is, what came out."""

    job = models.CharField(max_length=100)
    params = models.JSONField()
    status = models.CharField(max_length=10, default="queued")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    result = models.JSONField(null=True)

    class Meta:
        db_table = "naive_rows"

    def __str__(self) -> str:
        return f"{self.job} {self.pk}"
