from django.db import migrations, models


def tell_by_the_old_words(apps, schema_editor):
    """Until now a run said that it resumes another by the first word of its cause."""
    apps.get_model("jobs", "Run").objects.filter(cause_detail__startswith="resumes run #").update(is_resumption=True)


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0023_run_warning'),
    ]

    operations = [
        migrations.AddField(
            model_name='run',
            name='is_resumption',
            field=models.BooleanField(db_default=False, default=False, help_text='It goes on where the run before it stopped, and reuses what that one finished.'),
        ),
        migrations.RunPython(tell_by_the_old_words, migrations.RunPython.noop),
    ]
