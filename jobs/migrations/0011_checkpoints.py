from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

import jobs.models.rejected_row

# Takes the jobs' table for a moment only, and rather fails than has everybody wait in line behind
# it for somebody's long transaction: then migrate again.
PATIENCE = "SET LOCAL lock_timeout = '3s'"

# As the attempts do, a deleted job's checkpoint and rejected rows go with it. An array, so that the
# rows are found by their keys however few or many were deleted.
GUARD = """
    CREATE FUNCTION job_checkpoints_follow() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        DELETE FROM job_checkpoints WHERE job_id = ANY(ARRAY(SELECT id FROM deleted));
        DELETE FROM job_rejected_rows WHERE job_id = ANY(ARRAY(SELECT id FROM deleted));
        RETURN NULL;
    END $$;
    CREATE TRIGGER job_checkpoints_follow AFTER DELETE ON job_statuses
        REFERENCING OLD TABLE AS deleted
        FOR EACH STATEMENT EXECUTE FUNCTION job_checkpoints_follow();
"""
NO_GUARD = """
    DROP TRIGGER job_checkpoints_follow ON job_statuses;
    DROP FUNCTION job_checkpoints_follow();
"""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0010_job_dependencies")]

    operations = [
        migrations.RunSQL(PATIENCE, PATIENCE),
        migrations.CreateModel(
            name="JobCheckpoint",
            fields=[
                (
                    "job",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="checkpoint",
                        serialize=False,
                        to="jobs.jobstatus",
                    ),
                ),
                ("claim", models.IntegerField()),
                ("position", models.JSONField(null=True)),
                ("rows_in", models.BigIntegerField(default=0)),
                ("rows_out", models.BigIntegerField(default=0)),
                ("rows_rejected", models.BigIntegerField(default=0)),
                ("result", models.JSONField(null=True)),
                ("updated_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "checkpoint",
                "db_table": "job_checkpoints",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="JobRejectedRow",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "job_id",
                        "number",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rejected_rows",
                        to="jobs.jobstatus",
                    ),
                ),
                ("number", models.IntegerField()),
                ("position", models.JSONField(null=True)),
                ("row", jobs.models.rejected_row.OrderedJson(null=True)),
                ("reason", models.TextField()),
            ],
            options={
                "verbose_name": "rejected row",
                "db_table": "job_rejected_rows",
                "default_permissions": (),
            },
        ),
        migrations.RunSQL(GUARD, NO_GUARD),
    ]
