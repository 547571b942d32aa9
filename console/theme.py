"""The admin theme's settings: title, colours, sidebar."""

from typing import Any

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Kedro Console",
    "SITE_HEADER": "Kedro Console",
    "SITE_SYMBOL": "account_tree",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": True,
}
