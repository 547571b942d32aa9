"""What every form of a row is made of: Django's class is generic to the checker of types alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms

if TYPE_CHECKING:

    class RowForm(forms.ModelForm[Any]):
        def _post_clean(self) -> None: ...

else:
    RowForm = forms.ModelForm
