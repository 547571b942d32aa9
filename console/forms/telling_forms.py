"""The forms of a channel and of a subscription; what is wrong is said by the stories that every door asks."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django import forms
from django.contrib.auth.models import User
from django.db.models import QuerySet

from console.forms.row_form import RowForm
from console.forms.versions import Versioned
from jobs.errors import BadParameters
from jobs.models import Channel, Pipeline, Project, Subscription
from jobs.models.channel import Asker
from jobs.models.subscription import ANY_DAY, OPEN_TO_ALL
from jobs.states import ChannelKind
from jobs.telling.edit import check_subscription, save_channel, save_subscription

DAYS: Final = tuple(zip(ANY_DAY, ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), strict=True))
ADDRESSES: Final = {
    ChannelKind.MAIL: "olga@example.org",
    ChannelKind.WEBHOOK: "https://example.org/hook",
    ChannelKind.SERVICE: "slack://TokenA/TokenB/TokenC, ntfys://ntfy.sh/topic",
}


class TellingForm(Versioned, RowForm):
    """The looks of our own pages, and sentences of a story on the fields that they are about."""

    def dress(self) -> None:
        for field in self.fields.values():
            if isinstance(field.widget, forms.CheckboxSelectMultiple):
                continue
            field.widget.attrs.setdefault("class", "kc-check" if isinstance(field, forms.BooleanField) else "kc-input")

    def offer(self, name: str, rows: QuerySet[Any], empty: str | None = None) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - it chooses a row
        field.queryset, field.empty_label = rows, empty

    def refuse(self, refusal: BadParameters) -> None:
        """Put each sentence on the field that it is about."""
        for name, sentence in refusal.fields.items():
            self.add_error(name if name in self.fields else None, sentence)


class ChannelForm(TellingForm):
    """A channel; its address is never shown, and an empty one leaves it as it is."""

    address = forms.CharField(
        required=False,
        max_length=2_000,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="; ".join(f"{ChannelKind(kind).label}: {text}" for kind, text in ADDRESSES.items()),
    )
    is_shared = forms.BooleanField(
        label="shared", required=False, help_text="Operators and admins can choose it too. Otherwise it is yours alone."
    )

    class Meta:
        model = Channel
        fields = ("name", "kind", "is_enabled")

    def __init__(self, *args: Any, by: Asker, **named: Any) -> None:
        super().__init__(*args, **named)
        self.by, self.secret = by, ""
        if self.instance.pk:
            self.fields.pop("kind")
            self.fields["address"].help_text = f"Now {self.instance.hint}. Empty: it stays."
            self.initial["is_shared"] = self.instance.owner_id is None
        if not by.is_keeper:
            self.fields.pop("is_shared")
            self._keep_to_mail()
        self.dress()

    def _keep_to_mail(self) -> None:
        """Whoever is no admin has mail to their own account."""
        if "kind" in self.fields:
            self.fields["kind"] = forms.ChoiceField(choices=[(ChannelKind.MAIL, ChannelKind.MAIL.label)])
            self.initial["address"] = getattr(self.by.user, "email", "")
            self.fields["address"].help_text = "The address of your account."

    @property
    def owner(self) -> User:
        assert isinstance(self.by.user, User)  # noqa: S101 - its page is for those who are logged in
        return self.by.user

    def write(self, at: datetime) -> bool:
        """Save it; False when a field is wrong, which says so. The secret of a new webhook is in `secret`."""
        channel = self.instance
        if "is_shared" in self.fields:
            channel.owner = None if self.cleaned_data["is_shared"] else channel.owner or self.owner
        elif channel.pk is None:
            channel.owner = self.owner
        address = self.cleaned_data["address"] or (None if channel.pk else "")
        try:
            self.secret = save_channel(channel, by=self.by, at=at, address=address)
        except BadParameters as refusal:
            self.refuse(refusal)
            return False
        return True


class SubscriptionForm(TellingForm):
    """What somebody wants to be told of."""

    kinds = forms.MultipleChoiceField(
        label="Tell me of",
        choices=[(kind.value, kind.label) for kind in OPEN_TO_ALL],
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    channels = forms.ModelMultipleChoiceField(
        label="Besides the bell, over",
        queryset=Channel.objects.none(),
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    waits_minutes = forms.IntegerField(
        label="waits too long: after so many minutes", min_value=1, max_value=43_200, initial=15
    )
    expected_days = forms.MultipleChoiceField(
        label="late: on these days", choices=DAYS, widget=forms.CheckboxSelectMultiple, required=False
    )

    class Meta:
        model = Subscription
        fields = (
            "pipeline", "project", "kinds", "channels", "file_name", "every", "expected_by", "expected_days",
            "zone", "quiet_from", "quiet_until", "subject", "body", "is_enabled",
        )  # fmt: skip
        widgets = {
            name: forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
            for name in ("expected_by", "quiet_from", "quiet_until")
        } | {"body": forms.Textarea(attrs={"rows": 4})}

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        known = Pipeline.objects.select_related("project").order_by("project__name", "name")
        mine = known.filter(pk=self.instance.pipeline_id or 0)
        self.fields["file_name"].label = "new file: its name"
        self.fields["every"].label = "still failing: again after"
        self.fields["expected_by"].label = "late: expected by"
        self.offer("pipeline", known.filter(is_registered=True) | mine, "all")
        self.offer("project", Project.objects.order_by("name"), "all")
        self.offer("channels", Channel.objects.usable_by(Asker.of(self.instance.owner)) | self._named())
        self.initial["waits_minutes"] = max(1, self.instance.waits_seconds // 60)
        self.initial["expected_days"] = list(self.instance.expected_days)
        self.dress()

    def _named(self) -> QuerySet[Channel]:
        """What it names already may stay."""
        return Channel.objects.filter(pk__in=self.instance.channels.all() if self.instance.pk else [])

    def clean_expected_days(self) -> str:
        return "".join(sorted(self.cleaned_data["expected_days"]))

    def _post_clean(self) -> None:
        """When each field is right for itself: all of it together."""
        self.instance.kinds = self.cleaned_data.get("kinds") or []
        self.instance.waits_seconds = 60 * (self.cleaned_data.get("waits_minutes") or 15)
        super()._post_clean()
        if not self.errors and (wrong := check_subscription(self.instance, self.chosen, Asker.of(self.instance.owner))):
            self.refuse(BadParameters(wrong))

    @property
    def chosen(self) -> list[Channel]:
        return list(self.cleaned_data.get("channels") or [])

    @property
    def has(self) -> set[str]:
        """The kinds that are chosen, for fields that only some of them need."""
        return set(self["kinds"].value() or [])

    def write(self, at: datetime) -> bool:
        """Save it, and do not undo a mute that came meanwhile."""
        if self.instance.pk:
            self.instance.refresh_from_db(fields=["muted_until"])
        save_subscription(self.instance, self.chosen, by=Asker.of(self.instance.owner), at=at)
        return True
