"""Become a project's process that sees little of the console: `python -I -S confine.py PLAN COMMAND…`.

It is a program of its own, run by the console's Python before the project's: nothing of a project has been loaded yet.
By a namespace of mounts where the kernel gives one: what is hidden is not there, sockets among it. Else by Landlock:
what is hidden cannot be opened. It uses the standard library alone, and no site-packages.
"""

from __future__ import annotations

import ctypes
import json
import os
import stat
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NAMESPACES, LANDLOCK, NOTHING = "namespaces", "landlock", ""
CLONE_NEWNS, CLONE_NEWUSER = 0x0002_0000, 0x1000_0000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_SLAVE = 1, 2, 4, 32, 4096, 16384, 1 << 19
PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same numbers on every machine
PATH_BENEATH = 1
OF_FILES: Final = (1 << 0) | (1 << 1) | (1 << 2)  # execute, write, read
OF_FOLDERS: Final = (1 << 13) - 1  # all that the first version knows
REFER, TRUNCATE = 1 << 13, 1 << 14
UMASK_OF_PEOPLE: Final = 0o022
NEEDED: Final = (0, 1, 5, 6, 7)
"""The capabilities to give files away, read them, end processes, and change groups and user."""
CANNOT_SWITCH: Final = (
    "CONSOLE_RUN_AS={}: only root, or who has the capabilities CHOWN, DAC_OVERRIDE, KILL, SETGID and SETUID, can start "
    "processes of another user. Start the console as root, or leave the setting out."
)
REFUSED: Final = (
    "The console's folder could not be hidden by {} from what would have been started, which worked before. Start the "
    "worker again: it finds out anew what works here. CONSOLE_BOUNDARY=off does without."
)
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Plan:
    """What the process must not see, what of that it sees all the same, and as whom it runs (None: as we do)."""

    hide: list[str]
    show: list[str]
    user: tuple[int, int, list[int]] | None = None
    """uid, gid, and the groups that it is in."""
    ways: tuple[str, ...] = (NAMESPACES, LANDLOCK)
    kept_open: tuple[str, ...] = ()
    """Folders in which people make new files: Landlock cannot hide anything in these without closing them."""

    def to_json(self) -> str:
        return json.dumps(self.__dict__)


class Refused(Exception):
    """The kernel does not do that here."""


def confine(plan: Plan) -> str:
    """Hide it from this process and from those that it will start; the way in which that was done, NOTHING for none."""
    for way in plan.ways:
        with suppress(OSError, Refused):
            (_by_namespaces if way == NAMESPACES else _by_landlock)(plan)
            return way
    return NOTHING


# ---- a namespace of mounts


def _by_namespaces(plan: Plan) -> None:
    """Whoever becomes another user afterwards cannot undo a mount; all others leave the right to do so behind."""
    if plan.user:
        _check(_libc.unshare(CLONE_NEWNS))
    else:
        _enter_namespaces()
    _mount("none", "/", "", MS_REC | MS_SLAVE)
    there = [path for path in map(os.path.realpath, plan.show) if os.path.lexists(path)]
    opened = [(path, os.open(path, os.O_PATH | os.O_CLOEXEC)) for path in there]
    for path in _outermost(plan.hide):
        _cover(path, [(shown, fd) for shown, fd in opened if _is_below(shown, path)])
    for _, fd in opened:
        os.close(fd)
    if not plan.user and os.geteuid() == 0:
        _enter_namespaces()  # of a mount that came from outside, root cannot lift what covers another


def _enter_namespaces() -> None:
    """A user namespace in which everybody is who they were, and a namespace of mounts that belongs to it."""
    maps = {name: _same(name) for name in ("uid_map", "gid_map")}
    word, heard = os.pipe(), os.pipe()
    parent, helper = os.getpid(), os.fork()
    if helper == 0:
        _write_maps(parent, maps, word, heard)
    os.close(word[0])
    os.close(heard[1])
    try:
        _check(_libc.unshare(CLONE_NEWUSER | CLONE_NEWNS))
        os.write(word[1], b"!")
        if os.read(heard[0], 1) != b"!":
            raise Refused("uid_map")
    finally:
        os.close(word[1])
        os.close(heard[0])
        _, status = os.waitpid(helper, 0)
        if os.WIFSIGNALED(status):  # whoever killed it meant all of this: a process that was killed is started again
            os.kill(os.getpid(), os.WTERMSIG(status))


def _write_maps(pid: int, maps: dict[str, str], word: tuple[int, int], heard: tuple[int, int]) -> None:
    """In a helper that stays outside: only from there may more than one user be mapped."""
    os.close(word[1])
    os.close(heard[0])
    try:
        if os.read(word[0], 1) == b"!":
            if os.geteuid() != 0:
                Path(f"/proc/{pid}/setgroups").write_text("deny")
            for name, text in maps.items():
                Path(f"/proc/{pid}/{name}").write_text(text)
            os.write(heard[1], b"!")
    finally:
        os._exit(0)


def _same(name: str) -> str:
    """Everybody stays who they are, as far as we may say so: root for all, others for themselves."""
    if os.geteuid() == 0:
        rows = [line.split() for line in Path(f"/proc/self/{name}").read_text().splitlines()]
        return "".join(f"{inside} {inside} {count}\n" for inside, _, count in rows)
    own = os.geteuid() if name == "uid_map" else os.getegid()
    return f"{own} {own} 1\n"


def _cover(path: str, shown: list[tuple[str, int]]) -> None:
    """An empty folder or file in its place, read-only, with what is shown where it was."""
    if not Path(path).is_dir():
        return _mount("/dev/null", path, "", MS_BIND)
    _mount("none", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m")
    for place, fd in sorted(shown):
        if os.path.lexists(place):  # below one that is shown already
            continue
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            Path(place).mkdir(parents=True)
        else:
            Path(place).parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(place, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC))
        _mount(f"/proc/self/fd/{fd}", place, "", MS_BIND | MS_REC)
    return _mount("none", path, "", MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    words = [os.fsencode(each) for each in (source, target, kind)]
    _check(_libc.mount(*words, ctypes.c_ulong(flags), os.fsencode(data)))


# ---- Landlock


def _by_landlock(plan: Plan) -> None:
    """Grants everything beside the way to what is hidden: files that come to be on that way later stay closed."""
    hidden = _outermost(plan.hide)
    if any(_is_below(path, place) for path in hidden for place in map(os.path.realpath, plan.kept_open)):
        raise Refused("people work there")
    version = _syscall(CREATE_RULESET, None, 0, 1)
    rights = OF_FOLDERS | (REFER if version >= 2 else 0) | (TRUNCATE if version >= 3 else 0)
    rules = _syscall(CREATE_RULESET, struct.pack("Q", rights), 8, 0)
    for path in [*_beside(hidden), *(each for each in map(os.path.realpath, plan.show) if os.path.lexists(each))]:
        with suppress(OSError):  # it went meanwhile
            _grant(rules, path, rights)
    _check(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _syscall(RESTRICT_SELF, rules, 0)
    os.close(rules)


def _beside(hidden: list[str]) -> Iterator[str]:
    """The tree without what is hidden, in as few pieces as there can be."""
    on_the_way = {str(folder) for path in hidden for folder in Path(path).parents}
    for folder in sorted(on_the_way):
        for entry in os.scandir(folder):
            if entry.path not in on_the_way and entry.path not in hidden:
                yield entry.path


def _grant(rules: int, path: str, rights: int) -> None:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        is_folder = stat.S_ISDIR(os.fstat(fd).st_mode)
        allowed = rights if is_folder else rights & (OF_FILES | TRUNCATE)
        _syscall(ADD_RULE, rules, PATH_BENEATH, struct.pack("=Qi", allowed, fd), 0)
    finally:
        os.close(fd)


def _syscall(number: int, *arguments: object) -> int:
    found = int(_libc.syscall(number, *arguments))
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found


# ---- the user


def may_switch() -> bool:
    """Whether a process that we start can become another user."""
    if os.geteuid() == 0:
        return True
    with suppress(OSError, IndexError, ValueError):
        words = Path("/proc/self/status").read_text().partition("CapAmb:")[2].split()
        return all(int(words[0], 16) >> each & 1 for each in NEEDED)
    return False


def become(uid: int, gid: int, groups: Iterable[int]) -> None:
    """Be that user for good, with nothing of what we may ourselves."""
    _libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    os.setgroups(list(groups))
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    os.umask(UMASK_OF_PEOPLE)


# ---- words


def _outermost(paths: Iterable[str]) -> list[str]:
    """Those that are there, without what is in another of them."""
    found = sorted({os.path.realpath(path) for path in paths if os.path.lexists(path)})
    return [path for path in found if not any(_is_below(path, other) for other in found if other != path)]


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def main(words: list[str]) -> None:
    plan, command = Plan(**json.loads(words[0])), words[1:]
    folder = Path.cwd()
    way = confine(plan)
    if command and plan.ways and way == NOTHING:
        sys.exit(REFUSED.format(" or ".join(plan.ways)))
    try:
        if plan.user:
            become(*plan.user)
        os.chdir(folder)  # the folder in which we were lies behind what covers it
    except OSError as error:
        name = plan.user[0] if plan.user else os.geteuid()
        sys.exit(f"The user {name} cannot use {folder} ({error.strerror}): give it the right to.")
    if not command:
        sys.stdout.write(way)
        return
    try:
        os.execvp(command[0], command)  # noqa: S606 - a list, never a shell
    except OSError as error:
        sys.exit(f"{command[0]} could not be started: {error.strerror}.")


if __name__ == "__main__":
    main(sys.argv[1:])
