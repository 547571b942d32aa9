"""What a browser sends for a form that nobody touched, by the rules of HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

_NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


class Form(HTMLParser):
    """The fields of the form of this id."""

    def __init__(self, page: str, form_id: str) -> None:
        super().__init__()
        self.sent: dict[str, Any] = {}
        """By name; a list for what is chosen of several."""
        self._id, self._is_inside = form_id, False
        self._area = self._select = self._area_text = ""
        self._is_multiple = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._is_inside = facts.get("id") == self._id
        elif not self._is_inside or "disabled" in facts:
            return
        elif tag == "input" and facts.get("name"):
            self._input(facts)
        elif tag == "textarea":
            self._area, self._area_text = facts["name"], ""
        elif tag == "select":
            self._select, self._is_multiple = facts["name"], "multiple" in facts
        elif tag == "option" and self._select:
            self._option(facts)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_inside = False
        elif tag == "textarea" and self._area:
            text = re.sub(r"\r\n?", "\n", self._area_text).removeprefix("\n")
            self.sent[self._area], self._area = text.replace("\n", "\r\n"), ""
        elif tag == "select":
            self._select = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self._area_text += data

    def _option(self, facts: dict[str, str]) -> None:
        """Of a list in which several may be chosen none is chosen by itself."""
        value = facts.get("value", "")
        if self._is_multiple and "selected" in facts:
            self.sent[self._select] = [*self.sent.get(self._select, []), value]
        elif not self._is_multiple and ("selected" in facts or self._select not in self.sent):
            self.sent[self._select] = value

    def _box(self, name: str, value: str) -> None:
        """Boxes of one name are sent one after the other."""
        known = self.sent.get(name)
        self.sent[name] = value if known is None else [*([known] if isinstance(known, str) else known), value]

    def _input(self, facts: dict[str, str]) -> None:
        kind, value = facts.get("type", "text"), facts.get("value", "")
        if kind in ("checkbox", "radio"):
            if "checked" in facts and kind == "checkbox":
                self._box(facts["name"], facts.get("value", "on"))
            elif "checked" in facts:
                self.sent[facts["name"]] = facts.get("value", "on")
        elif kind == "number":
            self.sent[facts["name"]] = value if _NUMBER.fullmatch(value) else ""
        elif kind == "date":
            self.sent[facts["name"]] = value if re.fullmatch(r"\d{4}-\d\d-\d\d", value) else ""
        elif kind != "submit":
            self.sent[facts["name"]] = re.sub(r"[\r\n]", "", value)
