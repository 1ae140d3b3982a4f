from __future__ import annotations

from django.db import migrations, models

# Rather fails than has everybody wait in line behind it for somebody's long transaction: then
# migrate again. A column without a default rewrites no row.
PATIENCE = "SET LOCAL lock_timeout = '3s'"


class Migration(migrations.Migration):
    dependencies = [("jobs", "0011_checkpoints")]

    operations = [
        migrations.RunSQL(PATIENCE, PATIENCE),
        migrations.AddField(
            model_name="jobcheckpoint",
            name="moved_claim",
            field=models.IntegerField(null=True),
        ),
    ]
