from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0028_schedules_and_ticks'),
    ]

    operations = [
        migrations.AddField(
            model_name='run',
            name='force_requested_at',
            field=models.DateTimeField(blank=True, help_text='When its processes were to be killed at once.', null=True),
        ),
        migrations.AddField(
            model_name='run',
            name='force_requested_by',
            field=models.CharField(blank=True, db_default='', default='', max_length=150),
        ),
        migrations.AddField(
            model_name='step',
            name='stops',
            field=models.JSONField(blank=True, editable=False, help_text='The stages of its stop: which, when, and when the next is due.', null=True),
        ),
    ]
