from django.db import migrations

ADD = "ALTER TABLE {table} ADD COLUMN later integer NOT NULL DEFAULT 0"
DROP = "ALTER TABLE {table} DROP COLUMN later"
TABLES = ("jobs_noderun", "jobs_step", "jobs_run")
"""The engine locks a run first, then its steps and nodes: the other way round two would wait for each other."""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0001_initial")]

    operations = [migrations.RunSQL(ADD.format(table=table), DROP.format(table=table)) for table in TABLES]
