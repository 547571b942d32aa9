import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0008_plans_and_reuse"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Rule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=120, unique=True)),
                (
                    "is_enabled",
                    models.BooleanField(
                        default=True,
                        help_text="A rule that is off still writes down what it would have answered to.",
                        verbose_name="enabled",
                    ),
                ),
                (
                    "wants",
                    models.CharField(
                        choices=[("any", "any of them"), ("all", "all of them")],
                        default="any",
                        help_text="Which of them have to end.",
                        max_length=10,
                    ),
                ),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("succeeded", "succeeds"),
                            ("failed", "fails or crashes"),
                            ("finished", "ends, however"),
                            ("produced", "succeeds and produces something"),
                        ],
                        default="succeeded",
                        max_length=20,
                        verbose_name="when it",
                    ),
                ),
                (
                    "node",
                    models.CharField(
                        blank=True, help_text="For a side job: at the end of this node, not of the run.", max_length=500
                    ),
                ),
                (
                    "correlate",
                    models.CharField(
                        choices=[("root", "the same first run"), ("tick", "the same tick of a schedule")],
                        default="root",
                        help_text="Which runs of all sources count as one occasion.",
                        max_length=10,
                        verbose_name="belong together by",
                    ),
                ),
                ("condition", models.TextField(blank=True, help_text="JMESPath that is true or false; empty: always.")),
                (
                    "mapping",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        help_text="Parameter of the started pipeline → JMESPath that computes it.",
                    ),
                ),
                (
                    "handler",
                    models.CharField(
                        blank=True,
                        help_text="package.module:function of the started pipeline's project, asked when the condition holds.",
                        max_length=300,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Za-z_][\\w.]*:[A-Za-z_]\\w*$", "Write package.module:function."
                            )
                        ],
                    ),
                ),
                (
                    "is_side_job",
                    models.BooleanField(
                        default=False,
                        help_text="Shown beside the main run, and never changes what that one is.",
                        verbose_name="side job",
                    ),
                ),
                (
                    "max_iterations",
                    models.PositiveIntegerField(
                        default=1000,
                        help_text="So many may follow the first run of a chain; then it starts no more.",
                        validators=[django.core.validators.MinValueValidator(1)],
                        verbose_name="runs in a chain",
                    ),
                ),
                (
                    "max_per_hour",
                    models.PositiveIntegerField(
                        default=0,
                        help_text="So many runs may it start in an hour; 0: as many as come.",
                        verbose_name="starts in an hour",
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("edited_at", models.DateTimeField()),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "edited_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "sources",
                    models.ManyToManyField(
                        help_text="The pipelines whose end it waits for.", related_name="rules_out", to="jobs.pipeline"
                    ),
                ),
                (
                    "target",
                    models.ForeignKey(
                        help_text="The pipeline that it starts.",
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rules_in",
                        to="jobs.pipeline",
                        verbose_name="starts",
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
                "permissions": [("test_rule", "Can test rules with past runs")],
            },
        ),
        migrations.CreateModel(
            name="Firing",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("rule_name", models.CharField(help_text="Kept when the rule is deleted.", max_length=120)),
                ("key", models.CharField(help_text="The occasion: a run, a chain of runs, or a tick.", max_length=600)),
                ("generation", models.PositiveIntegerField(default=1, help_text="Which time it was on this occasion.")),
                ("at", models.DateTimeField()),
                ("node", models.CharField(blank=True, max_length=500)),
                (
                    "decision",
                    models.CharField(
                        choices=[
                            ("started", "started"),
                            ("unmet", "condition was false"),
                            ("refused", "refused"),
                            ("capped", "capped"),
                            ("deciding", "deciding"),
                            ("failed", "failed"),
                            ("disabled", "rule was off"),
                        ],
                        max_length=20,
                    ),
                ),
                ("sentence", models.TextField(blank=True, help_text="Why.")),
                ("parameters", models.JSONField(blank=True, default=dict)),
                ("is_side_job", models.BooleanField(default=False)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("lease_token", models.UUIDField(blank=True, editable=False, null=True)),
                ("lease_expires_at", models.DateTimeField(blank=True, null=True)),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
                ("tries", models.PositiveSmallIntegerField(default=0, help_text="How often its handler was asked.")),
                (
                    "ended",
                    models.ForeignKey(
                        help_text="The run whose end (or whose node's end) brought it about.",
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="firings",
                        to="jobs.run",
                    ),
                ),
                (
                    "started",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="begun_by",
                        to="jobs.run",
                    ),
                ),
                (
                    "rule",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="firings", to="jobs.rule"
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="Arrival",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("node", models.CharField(blank=True, max_length=500)),
                ("key", models.CharField(max_length=600)),
                ("at", models.DateTimeField()),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="arrivals", to="jobs.run"
                    ),
                ),
                (
                    "firing",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="arrivals",
                        to="jobs.firing",
                    ),
                ),
                (
                    "rule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="arrivals", to="jobs.rule"
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.AddIndex(
            model_name="firing",
            index=models.Index(fields=["rule", "-id"], name="firing_of_rule"),
        ),
        migrations.AddIndex(
            model_name="firing",
            index=models.Index(fields=["decision", "-id"], name="firing_by_decision"),
        ),
        migrations.AddIndex(
            model_name="firing",
            index=models.Index(condition=models.Q(("decision", "deciding")), fields=["id"], name="firing_deciding"),
        ),
        migrations.AddConstraint(
            model_name="firing",
            constraint=models.UniqueConstraint(fields=("rule", "key", "generation"), name="firing_once"),
        ),
        migrations.AddIndex(
            model_name="arrival",
            index=models.Index(
                condition=models.Q(("firing__isnull", True)), fields=["rule", "key"], name="arrival_that_waits"
            ),
        ),
        migrations.AddConstraint(
            model_name="arrival",
            constraint=models.UniqueConstraint(fields=("rule", "run", "node"), name="arrival_once"),
        ),
    ]
