from __future__ import annotations

import os
import tempfile
from pathlib import Path

# Tests have a folder of their own for everything the console keeps; it must be named before Django reads its settings.
_VAR = Path(tempfile.mkdtemp(prefix="kc-test-"))
os.environ.setdefault("CONSOLE_VAR", str(_VAR))
os.environ.setdefault("SECRET_KEY", "only-for-tests-" + "0" * 40)
