"""The form of a quota, its windows in plain words; the console's page and the admin show the same."""

from __future__ import annotations

from typing import Any

from django import forms

from console.forms.row_form import RowForm
from console.forms.versions import Versioned
from jobs.errors import RequestError
from jobs.models import Quota, Window
from jobs.quotas.quotas import changing
from jobs.quotas.windows import in_words, parse, replace

PLACEHOLDER = "1 request per 2 seconds\n35,000 requests per day in Europe/Berlin"


class QuotaForm(Versioned, RowForm):
    windows_in_words = forms.CharField(
        label="Windows",
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "placeholder": PLACEHOLDER}),
        help_text="One per line: so many requests or rows per second, minute, hour, any number of them, "
        "or per day in a time zone. All of them hold. None: no limit but what the API says itself.",
    )

    class Meta:
        model = Quota
        fields = ("name", "description")
        widgets = {"description": forms.Textarea(attrs={"rows": 2})}

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        if self.instance.pk:
            self.initial.setdefault("windows_in_words", in_words(self.instance.windows.all()))

    def clean_windows_in_words(self) -> list[Window]:
        try:
            return parse(self.cleaned_data["windows_in_words"])
        except RequestError as refusal:
            raise forms.ValidationError(str(refusal)) from refusal

    def typed(self, name: str) -> str:
        return ", ".join(map(str, self.cleaned_data["windows_in_words"])) if name == "windows" else super().typed(name)

    def save_windows(self) -> None:
        if "windows_in_words" in self.changed_data or not self.instance.windows.exists():
            replace(self.instance, self.cleaned_data["windows_in_words"])

    def save_all(self) -> Quota:
        """The row and its windows; what the counters say meanwhile is left as it is."""
        quota: Quota = self.save(commit=False)
        with changing(quota):
            quota.save(update_fields=["name", "description"] if quota.pk else None)
            self.save_windows()
        return quota
