"""What this process reads while it is recorded: the files, the ones that it looked for in vain, the folders it listed.

Python's audit events tell it, each before the file is opened: what is read after the look is seen to be younger.
Not seen are reads by C libraries, and questions such as `exists()`, which the names in a listed folder answer for.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from pathlib import Path
from typing import Any, Optional

Signature = Optional[tuple[int, int, int, int]]
"""Time of the last write, size, inode, time of the last change of the inode; None: it is not there."""

OURS = str(Path(__file__).resolve().parents[1]) + os.sep
INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
NOWHERE = ("/proc/", "/sys/", "/dev/")
CACHES = f"{os.sep}__pycache__{os.sep}"
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
SEARCHERS = ("<frozen importlib._bootstrap_external>", "importlib/metadata/__init__.py", "importlib/metadata.py",
             "importlib_metadata/__init__.py", f"{os.sep}pkgutil.py")  # fmt: skip


def _below(*folders: str | None) -> tuple[str, ...]:
    return tuple(sorted({os.path.realpath(each) + os.sep for each in folders if each}))


STANDARD = _below(*(sysconfig.get_path(name) for name in ("stdlib", "platstdlib")))
SITE = _below(*(sysconfig.get_path(name) for name in ("purelib", "platlib")))


def signature(path: str) -> Signature:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns


def is_installed(path: str) -> bool:
    """Whether it is part of an installed package, or of the console itself."""
    return path.startswith((*SITE, OURS)) or any(part in path for part in INSTALLED)


def is_standard(path: str) -> bool:
    """Whether it came with Python itself; the packages of an environment may be below that."""
    return path.startswith(STANDARD) and not is_installed(path)


def is_own(path: str) -> bool:
    """Whether it is the project's, or of a package that it uses from a folder of its own."""
    return not (is_installed(path) or path.startswith(STANDARD))


def site_folders() -> list[str]:
    """Where packages are installed for this interpreter, also if the folder is not there yet."""
    found = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    if site.ENABLE_USER_SITE:
        found.append(site.getusersitepackages())
    found += [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    return list(dict.fromkeys(os.path.abspath(path) for path in found if path))


def loaded_files() -> list[str]:
    """Where the imported modules lie, but for those of Python itself."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return [path for path in files if isinstance(path, str) and os.path.isabs(path) and not is_standard(path)]


def own_packages() -> list[str]:
    """The folders of imported packages that are not installed but are in folders of their own."""
    tops = [module for name, module in list(sys.modules.items()) if "." not in name]
    places = [place for module in tops for place in list(getattr(module, "__path__", None) or ())]
    return sorted({os.path.realpath(each) for each in places if isinstance(each, str) and is_own(each + os.sep)})


class Record:
    """Files and folders, each as it was before it was first read."""

    def __init__(self) -> None:
        self.files: dict[str, Signature] = {}
        self.listed: dict[str, Signature] = {}
        """Folders whose names the process's code asked for: every name in them counts."""
        self.searched: dict[str, Signature] = {}
        """Folders in which Python looked for modules: only what could be one counts."""
        self._written: set[str] = set()

    def close(self) -> None:
        """What the process wrote is no ground on which it stands."""
        for path in self._written:
            self.files.pop(path, None)

    def own(self) -> list[str]:
        """The files that the project, or a package from a folder of its own, is made of so far."""
        found = {path for path, before in self.files.items() if before is not None and is_own(path)}
        return sorted(found | {path for path in loaded_files() if is_own(path)})

    def take(self, event: str, given: tuple[Any, ...]) -> None:
        if event == "open":
            self._take_file(given)
        elif event in ("os.listdir", "os.scandir"):
            self._take_folder(given[0])
        elif event == "os.rename":
            self._written.add(_absolute(given[1]))

    def _take_file(self, given: tuple[Any, ...]) -> None:
        path, _, flags = given
        if isinstance(path, int):
            return
        name = _absolute(path)
        if isinstance(flags, int) and flags & WRITES:
            self._written.add(name)
        elif name.startswith(NOWHERE) or CACHES in name or is_standard(name):
            return
        elif name not in self.files:
            self.files[name] = signature(name)

    def _take_folder(self, path: Any) -> None:
        if isinstance(path, int):
            return
        name = _absolute(path or os.curdir)
        if name.startswith(NOWHERE) or is_standard(name + os.sep):
            return
        asked_by = sys._getframe(3).f_code.co_filename
        folders = self.searched if asked_by.endswith(SEARCHERS) or asked_by.startswith(OURS) else self.listed
        if name not in folders:
            folders[name] = signature(name)


def _absolute(path: Any) -> str:
    name = os.fsdecode(path)
    return os.path.normpath(name if os.path.isabs(name) else os.path.join(os.getcwd(), name))


_taking: list[Record] = []
_hooked: list[bool] = []


def _heard(event: str, given: tuple[Any, ...]) -> None:
    if _taking and event in ("open", "os.listdir", "os.scandir", "os.rename"):
        try:
            _taking[0].take(event, given)
        except Exception:  # noqa: BLE001  (what an audit hook raises would end what it only watches)
            return


def begin() -> Record:
    """From now on everything that this process reads is recorded, until `end`."""
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_heard)
    _taking[:] = [Record()]
    return _taking[0]


def end(record: Record) -> None:
    _taking.clear()
    record.close()
