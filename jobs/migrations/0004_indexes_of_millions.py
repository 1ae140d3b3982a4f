from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


def _leavings_of(name: str) -> migrations.RunSQL:
    # A build that was cut off leaves an invalid index of its name behind.
    return migrations.RunSQL(f"DROP INDEX CONCURRENTLY IF EXISTS {name}", migrations.RunSQL.noop)


class Migration(migrations.Migration):
    # A table of millions stays writable while an index is built, which no transaction can hold. The
    # new ones stand before the old ones go.
    atomic = False

    dependencies = [("jobs", "0003_worker_birthmark")]

    operations = [
        _leavings_of("job_statuses_due"),
        AddIndexConcurrently(
            model_name="jobstatus",
            index=models.Index(
                fields=["status", "queue", "due_at", "id"],
                name="job_statuses_due",
                condition=models.Q(status__in=["queued", "retrying", "scheduled", "waiting"]),
            ),
        ),
        _leavings_of("job_statuses_by_status"),
        AddIndexConcurrently(
            model_name="jobstatus",
            index=models.Index(
                fields=["status", "created_at", "id"], name="job_statuses_by_status"
            ),
        ),
        RemoveIndexConcurrently(model_name="jobstatus", name="job_statuses_living"),
        RemoveIndexConcurrently(model_name="jobstatus", name="job_statuses_newest"),
    ]
