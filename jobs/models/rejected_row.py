"""One row that a job's transform or load refused."""

from __future__ import annotations

from typing import Any

from django.db import models
from psycopg2.extras import Json

from jobs.models.job_status import JobStatus


class OrderedJson(models.JSONField):
    """PostgreSQL's json: unlike jsonb it keeps the order of the keys, here that of the columns."""

    def db_type(self, connection: Any) -> str:  # noqa: ARG002 - Django's signature
        """Return the column's type."""
        return "json"

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:  # noqa: ARG002, FBT001, FBT002
        """Return what psycopg2 sends as json; Django's own would be cast to jsonb first."""
        return None if value is None else Json(value)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:  # noqa: ARG002
        """Return the value, which psycopg2 has read already."""
        return value


class JobRejectedRow(models.Model):
    """Written in the transaction that loads the other rows of its batch; goes with its job."""

    pk = models.CompositePrimaryKey("job_id", "number")
    job = models.ForeignKey(
        JobStatus,
        on_delete=models.CASCADE,
        related_name="rejected_rows",
        db_constraint=False,
        db_index=False,
    )
    number = models.IntegerField()  # of the job's rejected rows, from 1
    position = models.JSONField(null=True)  # where the row stands in its source
    row = OrderedJson(null=True)  # null: the job chose to keep none of it
    reason = models.TextField()

    class Meta:
        db_table = "job_rejected_rows"
        verbose_name = "rejected row"
        default_permissions = ()

    def __str__(self) -> str:
        return f"rejected row {self.number} of {self.job_id}"
