from __future__ import annotations

from django.db import migrations

# Why these, and what they change: docs/adr/0007. Neither stops a reader or a writer.
SETTINGS = {
    "job_statuses": {
        "fillfactor": "70",
        "autovacuum_vacuum_threshold": "50000",
        "autovacuum_vacuum_scale_factor": "0.05",
        "autovacuum_analyze_threshold": "50000",
        "autovacuum_analyze_scale_factor": "0.05",
    },
    "job_attempts": {
        "autovacuum_vacuum_threshold": "50000",
        "autovacuum_vacuum_scale_factor": "0.05",
    },
}


def _settings(table: str) -> migrations.RunSQL:
    values = ", ".join(f"{name} = {value}" for name, value in SETTINGS[table].items())
    return migrations.RunSQL(
        f"ALTER TABLE {table} SET ({values})",
        f"ALTER TABLE {table} RESET ({', '.join(SETTINGS[table])})",
    )


class Migration(migrations.Migration):
    dependencies = [("jobs", "0005_attempts_without_a_check")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '3s'", "SET LOCAL lock_timeout = '3s'"),
        *(_settings(table) for table in SETTINGS),
    ]
