"""Where things are: the demo API, the project's files, the data set's name."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kedro.utils import find_kedro_project

DEFAULT_API = "http://127.0.0.1:8010"


def demo_api() -> str:
    """The demo API's address for `${demo_api:}`: DEMO_API_URL, or port 8010 of this machine."""
    return os.environ.get("DEMO_API_URL", "").rstrip("/") or DEFAULT_API


def in_project(path: str) -> Path:
    """A path of the parameters: relative ones are counted from the project's folder, whatever the working directory."""
    return Path(find_kedro_project(Path(__file__).resolve().parent) or Path.cwd()) / path


def dataset_name(api_url: str) -> str:
    """What the address's last part calls the data, fit for a file name: `…/datasets/airports?page=1` → `airports`."""
    parts = [part for part in unquote(urlsplit(api_url).path).split("/") if part]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", parts[-1]).strip("-") if parts else "data"
