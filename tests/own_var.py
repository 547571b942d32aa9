"""Loaded by pytest before Django reads its settings: a test session keeps everything in a folder of its own."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

_VAR = tempfile.mkdtemp(prefix="kc-test-")
atexit.register(shutil.rmtree, _VAR, ignore_errors=True)
os.environ["CONSOLE_VAR"] = _VAR
os.environ["SECRET_KEY"] = "only-for-tests-" + "0" * 40
for name in ("CONSOLE_ANONYMOUS_API", "ALLOWED_HOSTS", "REDIS_URL", "ARTIFACT_STORE"):
    if "CONSOLE_TRIED_ELSEWHERE" not in os.environ:  # bench.store_faults names servers
        os.environ.pop(name, None)
