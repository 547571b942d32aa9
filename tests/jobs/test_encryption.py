"""All machines mask with the same key, and what an older one masked can be put back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from jobs.encryption import leave_masking_keys, masking_keys
from kedro_console.wire import KEY_FILE


def test_machines_with_the_same_settings_have_the_same_key(settings: Any, tmp_path: Path) -> None:
    settings.CONSOLE_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    contents = []
    for machine in ("one", "two"):
        (tmp_path / machine).mkdir()
        leave_masking_keys(tmp_path / machine)
        contents.append((tmp_path / machine / KEY_FILE).read_bytes())
        assert (tmp_path / machine / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert contents[0] == contents[1] and len(contents[0]) == 32
    settings.CONSOLE_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert masking_keys() != [contents[0]]


def test_a_newer_key_goes_first_and_the_ones_before_it_stay(settings: Any, tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_bytes(b"r" * 32)
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.CONSOLE_ENCRYPTION_KEYS = [old]
    leave_masking_keys(tmp_path)
    (of_old,) = masking_keys()
    settings.CONSOLE_ENCRYPTION_KEYS = [new, old]
    leave_masking_keys(tmp_path)
    of_new = masking_keys()[0]
    assert (tmp_path / KEY_FILE).read_bytes() == of_new + of_old + b"r" * 32
