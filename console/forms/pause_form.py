"""Why something is paused, and until when."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django import forms

from console.forms.time_fields import LocalField
from jobs import clock


class PauseForm(forms.Form):
    reason = forms.CharField(
        required=False, max_length=300, widget=forms.TextInput(attrs={"class": "kc-input", "placeholder": "Why?"})
    )
    until = LocalField()

    def __init__(self, *args: Any, zone: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.zone = ZoneInfo(zone)

    def clean_until(self) -> Any:
        until = self.cleaned_data["until"]
        if until is None:
            return None
        until = until.replace(tzinfo=self.zone)
        if until <= clock.now():
            raise forms.ValidationError("“Until” has passed: give a time in the future, or none.")
        return until

    @property
    def wanted(self) -> dict[str, Any]:
        return {"reason": self.cleaned_data["reason"], "until": self.cleaned_data["until"]}
