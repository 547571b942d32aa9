import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0007_handed_back"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="noderun",
            name="content",
            field=models.JSONField(
                blank=True, help_text="Digests of its code, packages, parameters and inputs.", null=True
            ),
        ),
        migrations.AddField(
            model_name="noderun",
            name="content_key",
            field=models.CharField(
                blank=True, help_text="A digest of all that its outputs follow from; empty: not known.", max_length=64
            ),
        ),
        migrations.AddField(
            model_name="noderun",
            name="reason",
            field=models.CharField(blank=True, help_text="Why it was reused, or why it ran again.", max_length=300),
        ),
        migrations.AddField(
            model_name="noderun",
            name="taken_from",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                help_text="The run whose outputs it reuses.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="jobs.run",
            ),
        ),
        migrations.AddField(
            model_name="pipeline",
            name="grouping",
            field=models.CharField(
                choices=[
                    ("node", "each node its own step, chains in one"),
                    ("namespace", "a step for each namespace"),
                    ("tag", "a step for each tag step-NAME"),
                ],
                default="node",
                help_text="Which nodes of a distributed run share a step. A node that no group names is as with “node”.",
                max_length=20,
            ),
        ),
        migrations.AddField(
            model_name="pipeline",
            name="node_time_limit_seconds",
            field=models.PositiveIntegerField(
                default=0,
                help_text="0: no limit; a node's tag timeout-N overrides it.",
                verbose_name="time limit of a node (seconds)",
            ),
        ),
        migrations.AddField(
            model_name="pipeline",
            name="reuses_content",
            field=models.BooleanField(
                default=False,
                help_text="A node does not run while its code, parameters and input data are those of an earlier successful run whose outputs are still there. It keeps the datasets between nodes on disk.",
                verbose_name="re-runs only what changed",
            ),
        ),
        migrations.AddField(
            model_name="pipeline",
            name="unshareable",
            field=models.JSONField(
                blank=True,
                default=list,
                help_text="Learned from runs: what makes one of these and what reads it share a process. [] forgets them.",
                verbose_name="datasets that cannot be handed over",
            ),
        ),
        migrations.AddField(
            model_name="project",
            name="store_url",
            field=models.CharField(
                blank=True,
                help_text="Where the datasets between nodes are kept when workers share no folder, such as s3://bucket/runs; the project's own fsspec opens it. Empty: in the console's folder.",
                max_length=500,
                verbose_name="store of runs",
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="log_dropped_at",
            field=models.DateTimeField(
                blank=True, help_text="When retention took its log lines and events.", null=True
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="plan_reason",
            field=models.TextField(blank=True, help_text="Why it has fewer steps than its pipeline asks for."),
        ),
        migrations.AddField(
            model_name="run",
            name="store_url",
            field=models.CharField(
                blank=True,
                help_text="Where its datasets between nodes lie; empty: in its folder, or nowhere.",
                max_length=600,
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="unshared",
            field=models.JSONField(
                blank=True,
                default=list,
                help_text="Datasets that stay in the process that makes them, even with a store.",
            ),
        ),
        migrations.AddField(
            model_name="step",
            name="merged_into",
            field=models.PositiveIntegerField(
                blank=True, help_text="The position of the step that its nodes were given to.", null=True
            ),
        ),
        migrations.AddIndex(
            model_name="noderun",
            index=models.Index(
                condition=models.Q(("content_key", ""), _negated=True),
                fields=["content_key", "-id"],
                name="node_by_content",
            ),
        ),
        migrations.AddIndex(
            model_name="noderun",
            index=models.Index(
                condition=models.Q(("taken_from__isnull", False)), fields=["taken_from"], name="node_that_was_taken"
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("log_dropped_at", None)), fields=["finished_at"], name="run_with_log_by_end"
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("store_url", ""), _negated=True), fields=["id"], name="run_with_store_elsewhere"
            ),
        ),
    ]
