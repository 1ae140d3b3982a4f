from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

HAS_SCHEDULE = ~models.Q(schedule="")


def _index(name: str, condition: models.Q) -> list:
    return [
        # A build that was cut off leaves an invalid index of its name behind.
        migrations.RunSQL(f"DROP INDEX CONCURRENTLY IF EXISTS {name}", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="jobstatus",
            index=models.Index(fields=["schedule", "logical_time"], name=name, condition=condition),
        ),
    ]


class Migration(migrations.Migration):
    atomic = False  # a table of millions stays writable while an index is built

    dependencies = [("jobs", "0007_schedules_with_policies")]

    operations = [
        *_index("job_statuses_of_runs", HAS_SCHEDULE),
        *_index("job_statuses_living_runs", HAS_SCHEDULE & models.Q(finished_at__isnull=True)),
    ]
