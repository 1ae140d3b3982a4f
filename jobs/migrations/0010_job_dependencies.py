from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

# No edge outlives one of its jobs, whoever deletes it.
GUARD = """
    CREATE OR REPLACE FUNCTION job_dependencies_follow() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        DELETE FROM job_dependencies WHERE job_id = ANY(ARRAY(SELECT id FROM deleted));
        DELETE FROM job_dependencies WHERE parent_id = ANY(ARRAY(SELECT id FROM deleted));
        RETURN NULL;
    END $$;
    DROP TRIGGER IF EXISTS job_dependencies_follow ON job_statuses;
    CREATE TRIGGER job_dependencies_follow AFTER DELETE ON job_statuses
        REFERENCING OLD TABLE AS deleted
        FOR EACH STATEMENT EXECUTE FUNCTION job_dependencies_follow();
"""
NO_GUARD = """
    DROP TRIGGER job_dependencies_follow ON job_statuses;
    DROP FUNCTION job_dependencies_follow();
"""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0009_backfills_seen")]

    operations = [
        # Rather fails than has everybody wait in line behind it; then migrate again.
        migrations.RunSQL("SET LOCAL lock_timeout = '3s'", "SET LOCAL lock_timeout = '3s'"),
        migrations.AddField(
            model_name="jobstatus",
            name="has_dependents",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.CreateModel(
            name="JobDependency",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "job_id",
                        "parent_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("number", models.IntegerField()),
                ("step", models.CharField(blank=True, default="", max_length=100)),
                ("parent_step", models.CharField(blank=True, default="", max_length=100)),
                (
                    "on_parent_failure",
                    models.CharField(choices=[("cancel", "cancel"), ("run", "run")], max_length=6),
                ),
                ("broken_claim", models.IntegerField(null=True)),
                (
                    "job",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="dependencies",
                        to="jobs.jobstatus",
                    ),
                ),
                (
                    "parent",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="dependents",
                        to="jobs.jobstatus",
                    ),
                ),
            ],
            options={
                "verbose_name": "dependency",
                "verbose_name_plural": "dependencies",
                "db_table": "job_dependencies",
            },
        ),
        migrations.RunSQL(GUARD, NO_GUARD),
    ]
