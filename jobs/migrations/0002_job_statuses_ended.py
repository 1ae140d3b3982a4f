from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # A table of millions stays writable while the index is built, which no transaction can hold.
    atomic = False

    dependencies = [("jobs", "0001_initial")]

    operations = [
        AddIndexConcurrently(
            model_name="jobstatus",
            index=models.Index(
                fields=["job_class", "status", "finished_at"],
                name="job_statuses_ended",
                condition=models.Q(finished_at__isnull=False),
            ),
        ),
    ]
