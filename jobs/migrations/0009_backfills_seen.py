from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0008_indexes_of_runs")]

    operations = [
        migrations.AddField(
            model_name="backfill",
            name="looked_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="backfill",
            name="reason",
            field=models.CharField(blank=True, default="", max_length=500),
        ),
        migrations.AddField(
            model_name="backfill",
            name="total",
            field=models.IntegerField(default=0),
        ),
        migrations.AddConstraint(
            model_name="backfill",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "running")),
                fields=("schedule_name",),
                name="job_backfills_one_runs",
            ),
        ),
    ]
