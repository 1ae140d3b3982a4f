from __future__ import annotations

import datetime
import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0006_autovacuum_of_millions"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Backfill",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("schedule_name", models.CharField(max_length=100)),
                ("from_at", models.DateTimeField()),
                ("to_at", models.DateTimeField()),
                ("newest_first", models.BooleanField(default=False)),
                ("max_active", models.IntegerField(default=2)),
                (
                    "only",
                    models.CharField(
                        choices=[("missing", "Missing"), ("failed", "Failed"), ("all", "All")],
                        default="missing",
                        max_length=10,
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("running", "Running"),
                            ("stopped", "Stopped"),
                            ("completed", "Completed"),
                        ],
                        default="running",
                        max_length=10,
                    ),
                ),
                ("cursor", models.DateTimeField(blank=True, null=True)),
                ("made", models.IntegerField(default=0)),
                ("passed", models.IntegerField(default=0)),
                ("made_by", models.CharField(blank=True, default="", max_length=150)),
                ("created_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "job_backfills",
            },
        ),
        migrations.CreateModel(
            name="ScheduleChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("schedule_name", models.CharField(max_length=100)),
                ("at", models.DateTimeField()),
                ("by", models.CharField(max_length=150)),
                ("verb", models.CharField(max_length=20)),
                ("what", models.JSONField(default=dict)),
                ("note", models.CharField(blank=True, default="", max_length=500)),
            ],
            options={
                "db_table": "job_schedule_changes",
            },
        ),
        migrations.RenameField(
            model_name="schedulerun",
            old_name="error",
            new_name="reason",
        ),
        migrations.AddField(
            model_name="schedule",
            name="catch_up",
            field=models.CharField(default="last", max_length=20),
        ),
        migrations.AddField(
            model_name="schedule",
            name="crons",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=100), blank=True, default=list, size=None
            ),
        ),
        migrations.RunSQL(
            "UPDATE job_schedules SET crons = ARRAY[cron] WHERE cron <> ''",
            "UPDATE job_schedules SET cron = coalesce(crons[1], '')",
        ),
        migrations.RemoveField(
            model_name="schedule",
            name="cron",
        ),
        migrations.AddField(
            model_name="schedule",
            name="end_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="schedule",
            name="jitter",
            field=models.DurationField(default=datetime.timedelta(0)),
        ),
        migrations.AddField(
            model_name="schedule",
            name="overlap",
            field=models.CharField(
                choices=[
                    ("skip", "Skip"),
                    ("queue", "Queue"),
                    ("queue_all", "Queue All"),
                    ("allow", "Allow"),
                    ("cancel_running", "Cancel Running"),
                ],
                default="skip",
                max_length=20,
            ),
        ),
        migrations.AddField(
            model_name="schedule",
            name="pause_note",
            field=models.CharField(blank=True, default="", max_length=500),
        ),
        migrations.AddField(
            model_name="schedule",
            name="paused_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="schedule",
            name="paused_by",
            field=models.CharField(blank=True, default="", max_length=150),
        ),
        migrations.AddField(
            model_name="schedule",
            name="source",
            field=models.CharField(
                choices=[("settings", "Settings"), ("admin", "Admin")],
                default="settings",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="schedule",
            name="start_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="schedule",
            name="steps",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="schedulerun",
            name="kept_status",
            field=models.CharField(blank=True, default="", max_length=10),
        ),
        migrations.AddField(
            model_name="schedulerun",
            name="kind",
            field=models.CharField(
                choices=[("tick", "Tick"), ("manual", "Manual"), ("backfill", "Backfill")],
                default="tick",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="schedulerun",
            name="made_by",
            field=models.CharField(blank=True, default="", max_length=150),
        ),
        migrations.AlterField(
            model_name="schedule",
            name="job_class",
            field=models.CharField(blank=True, default="", max_length=100),
        ),
        migrations.AlterField(
            model_name="schedule",
            name="params",
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AlterField(
            model_name="schedule",
            name="queue",
            field=models.CharField(blank=True, default="", max_length=100),
        ),
        migrations.AlterField(
            model_name="schedulerun",
            name="outcome",
            field=models.CharField(
                choices=[
                    ("dispatched", "Dispatched"),
                    ("skipped", "Skipped"),
                    ("refused", "Refused"),
                ],
                max_length=20,
            ),
        ),
        migrations.AddIndex(
            model_name="schedule",
            index=models.Index(
                condition=models.Q(("enabled", True), ("next_at__isnull", False)),
                fields=["next_at"],
                name="job_schedules_due",
            ),
        ),
        migrations.AddIndex(
            model_name="backfill",
            index=models.Index(fields=["status", "id"], name="job_backfills_by_status"),
        ),
        migrations.AddField(
            model_name="schedulerun",
            name="backfill",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="runs",
                to="jobs.backfill",
            ),
        ),
        migrations.AddIndex(
            model_name="schedulechange",
            index=models.Index(fields=["schedule_name", "at"], name="job_schedule_changes_of"),
        ),
    ]
