"""Which state of a project's code and configuration this is: a name made of the content of its files.

A touch, a clone or another folder keep the name. It comes from the sources of the project and of the packages that it
uses from folders of their own, from what else of these was read, and from the configuration of its environment.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from kedro_console import wire
from kedro_console.project import record

SUFFIXES = (*wire.WATCHED, *wire.TEMPLATES)
AT_THE_TOP = (".py", ".toml", ".cfg", ".ini", ".lock")
MOST_FILES = 20_000
LARGE_BYTES = 16 * 1024 * 1024
FEW_PLACES = 3
GIT_SECONDS = 10
GIT = ("git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "safe.directory=*")


def of(project_path: Path, read: Iterable[str] = (), packages: Iterable[str] = ()) -> str:
    """The revision's name: "<sha>" when these files are those of git's HEAD, "<sha>+<8 hex>" when they differ,
    "files-<8 hex>" without git; behind it "<folder>-<8 hex>" for packages that are elsewhere."""
    project_path = project_path.resolve()
    top, packages = _git_top(project_path), list(packages)
    within, elsewhere = _apart(sources(project_path, read, packages), top or project_path, packages)
    names = [_name(top, within) if top else f"files-{_digest(within)}"]
    names += [f"{place}-{_digest(files)}" for place, files in sorted(elsewhere.items())][:FEW_PLACES]
    return " ".join(names)[:80]


def installed() -> str:
    """A digest of what is installed for this interpreter, by name and version."""
    found: set[str] = set()
    for folder in record.site_folders():
        try:
            found |= {each.lower() for each in os.listdir(folder) if each.endswith((".dist-info", ".egg-info"))}
        except OSError:
            continue
    return hashlib.sha256("\n".join(sorted(found)).encode("utf-8", "surrogateescape")).hexdigest()[:8]


# ---- which files -----------------------------------------------------------------------------------


def sources(project_path: Path, read: Iterable[str] = (), packages: Iterable[str] = ()) -> list[str]:
    """The files that make a project's revision: those that were `read`, and unread ones of its sources, of its
    configuration and of these `packages` (folders) that it uses."""
    read, project = list(read), str(project_path)
    conf = _configuration(project, read)
    roots = [*_source_roots(project_path), *packages]
    found = set(_at_the_top(project)) | set(conf)
    for root in dict.fromkeys(roots):
        found |= set(_below(root))
    places = (project + os.sep, *(root + os.sep for root in roots), *_search_path())
    found |= {path for path in read if path.startswith(places) and record.is_own(path) and os.path.isfile(path)}
    return sorted(path for path in found if not _is_private(path))


def folders_of(files: Iterable[str]) -> list[str]:
    """The folders in which a further file would count as well."""
    return sorted({os.path.dirname(path) for path in files})


def source_folder(project_path: Path) -> str:
    try:
        text = (project_path / "pyproject.toml").read_text("utf-8", "replace")
    except OSError:
        return "src"
    found = re.search(r"^\s*source_dir\s*=\s*[\"']([^\"']*)[\"']", text, re.MULTILINE)
    return found.group(1) if found else "src"


def _source_roots(project_path: Path) -> Iterator[str]:
    folder = (project_path / source_folder(project_path)).resolve()
    if folder.is_dir() and folder != project_path:  # else data and environments are in it as well
        yield str(folder)


def _search_path() -> Iterator[str]:
    own = [os.path.abspath(place) for place in sys.path if place and record.is_own(place + os.sep)]
    return (place + os.sep for each in own for place in {each, os.path.realpath(each)})


def configuration_folder(project: str) -> str:
    """As the project's settings name it; "conf" before they are known."""
    module = sys.modules.get("kedro.framework.project")
    try:
        name = str(module.settings.CONF_SOURCE) if module else "conf"
        return os.path.normpath(os.path.join(project, name))
    except Exception:  # noqa: BLE001  (the settings are project code)
        return os.path.join(project, "conf")


def _at_the_top(project: str) -> Iterator[str]:
    for name in _names(project):
        if name.endswith(AT_THE_TOP) or (name.startswith("requirements") and name.endswith(".txt")):
            yield os.path.join(project, name)


def _configuration(project: str, read: list[str]) -> Iterator[str]:
    """Of `conf` the environments from which something was read; all when nothing was."""
    conf = configuration_folder(project)
    used = {path[len(conf) + 1 :].partition(os.sep)[0] for path in read if path.startswith(conf + os.sep)}
    for name in _names(conf):
        path = os.path.join(conf, name)
        if os.path.isfile(path):
            if name.endswith(SUFFIXES):
                yield path
        elif name in used or not used:
            yield from _below(path)


def _below(root: str) -> Iterator[str]:
    """Sources and texts below a folder, whatever the folders between are called."""
    count = 0
    for place, folders, names in os.walk(root):
        folders[:] = [each for each in folders if not _is_left_out(place, each)]
        for name in names:
            if name.endswith(SUFFIXES) and not name.startswith("."):
                count += 1
                yield os.path.join(place, name)
        if count > MOST_FILES:
            return


def _is_left_out(place: str, name: str) -> bool:
    """Caches, and environments with their packages."""
    if name.startswith(".") or name in wire.NEVER_SOURCES or name.endswith(".egg-info"):
        return True
    return os.path.isfile(os.path.join(place, name, "pyvenv.cfg"))


def _is_private(path: str) -> bool:
    name = os.path.basename(path)
    return name.startswith(".") or "credentials" in name


def _names(folder: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return []


# ---- the name --------------------------------------------------------------------------------------


def _apart(files: list[str], top: Path, packages: list[str]) -> tuple[list[str], dict[str, list[str]]]:
    """(the files below `top`, the others by the name of the folder that they are in)."""
    within = [path for path in files if path.startswith(f"{top}{os.sep}")]
    elsewhere: dict[str, list[str]] = {}
    for path in files:
        if not path.startswith(f"{top}{os.sep}"):
            root = next((each for each in packages if path.startswith(each + os.sep)), os.path.dirname(path))
            elsewhere.setdefault(os.path.basename(root), []).append(path)
    return within, elsewhere


def _digest(files: list[str]) -> str:
    """Of names and contents; of the names only what tells the files apart, wherever they lie."""
    base = os.path.commonpath([os.path.dirname(path) for path in files]) if files else ""
    digest = hashlib.sha256()
    for path in files:
        digest.update(os.path.relpath(path, base).encode("utf-8", "surrogateescape") + b"\0" + _content(path) + b"\0")
    return digest.hexdigest()[:8]


def _content(path: str) -> bytes:
    try:
        found = os.stat(path)
        if found.st_size > LARGE_BYTES:
            return f"{found.st_size} {found.st_mtime_ns}".encode()
    except OSError:
        return b""
    return wire.sha256_of(Path(path)).encode()


def _name(top: Path, files: list[str]) -> str:
    sha = _git(top, "rev-parse", "--verify", "--quiet", "HEAD").strip()
    if not sha:
        return f"files-{_digest(files)}"
    committed = _committed(top, folders_of(files))
    blobs = _blobs(top, files)
    differing = [path for path in files if committed.get(path) not in ("link", blobs.get(path, "?"))]
    ignored = set(_ignored(top, [path for path in differing if path not in committed]))
    gone = [path for path in committed if path.endswith(SUFFIXES) and not os.path.lexists(path)]
    if committed and not gone and ignored.issuperset(differing):
        return sha[:8]
    return f"{sha[:8]}+{_digest([path for path in files if path not in ignored])}"


# ---- git -------------------------------------------------------------------------------------------


def _git_top(project_path: Path) -> Path | None:
    """The folder of the repository, worktree or submodule that the project is in."""
    return next((folder for folder in (project_path, *project_path.parents) if (folder / ".git").exists()), None)


def _committed(top: Path, folders: list[str]) -> dict[str, str]:
    """Path → blob of what HEAD has in these folders (not below them); "link" for symbolic links."""
    asked = [f"{os.path.relpath(folder, top)}/" if folder != str(top) else "./" for folder in folders]
    found = {}
    for entry in _git(top, "ls-tree", "-z", "HEAD", "--", *asked).split("\0"):
        facts, _, path = entry.partition("\t")
        if facts:
            mode, kind, blob = facts.split(" ")
            if kind == "blob":
                found[os.path.join(top, path)] = "link" if mode == "120000" else blob
    return found


def _blobs(top: Path, files: list[str]) -> dict[str, str]:
    """Path → the blob that git would make of it now, with its own rules for the ends of lines and large files."""
    asked = [path for path in files if "\n" not in path and os.path.isfile(path)]
    blobs = _git(top, "hash-object", "--stdin-paths", given="\n".join(asked)).split() if asked else []
    return dict(zip(asked, blobs)) if len(blobs) == len(asked) else {}


def _ignored(top: Path, files: list[str]) -> list[str]:
    if not files:
        return []
    return _git(top, "check-ignore", "-z", "--stdin", given="\0".join(files)).split("\0")


def _git(top: Path, *arguments: str, given: str = "") -> str:
    """What git answers; "" when it is not there, fails or takes too long."""
    try:
        done = subprocess.run(
            [*GIT, *arguments], cwd=top, input=given.encode("utf-8", "surrogateescape"), capture_output=True,
            timeout=GIT_SECONDS, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "surrogateescape")
