#!/usr/bin/env python
"""Commands of Kedro Console: `python manage.py help` lists them."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    if sys.argv[1:2] == ["up"]:
        os.environ.setdefault("CONSOLE_FACE", "false")  # it starts the pages and serves none itself
    sys.path.insert(1, str(HERE / "pipelines"))
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
