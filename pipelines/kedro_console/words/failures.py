"""An exception as people need it: one line, and the frames with the project's own marked."""

from __future__ import annotations

import linecache
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from kedro_console import wire
from kedro_console.words import masking

MAX_FRAMES = 60
MAX_MESSAGE = 4_000
MAX_CODE = 300
MAX_TRACEBACK = 40_000
MAX_CLASSES = 50
UNSPECIFIC = (object, BaseException)
OURS = str(Path(__file__).parents[1])
LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def describe(error: BaseException, project_path: Path) -> wire.Failure:
    """The failure in `error`, its secrets masked; never raises, and never longer than about 80 kB."""
    return wire.Failure(
        exception=name_of(type(error)),
        message=masking.text(_cut(message_of(error), MAX_MESSAGE)),
        frames=_frames(error, project_path.resolve()),
        traceback=masking.text(_cut(_traceback(error), MAX_TRACEBACK)),
        classes=_classes(error),
    )


def name_of(cls: type) -> str:
    """The class's name with its module, without "builtins."."""
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _classes(error: BaseException) -> list[str]:
    """Each class that `error` or a cause of it is an instance of, once, without the ones that say nothing."""
    found: dict[str, None] = {}
    for each in causes(error):
        found |= dict.fromkeys(name_of(cls) for cls in type(each).__mro__ if cls not in UNSPECIFIC)
    return list(found)[:MAX_CLASSES]


def causes(error: BaseException) -> Iterator[BaseException]:
    """`error`, then what caused it, then what caused that."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def message_of(error: BaseException) -> str:
    """What the exception says; its class's name when it says nothing or cannot say it."""
    try:
        text = str(error).strip()
    except Exception as broken:  # noqa: BLE001  (project code: its __str__ may do anything)
        return f"(its message cannot be read: {type(broken).__name__})"
    if isinstance(error, KeyError) and len(error.args) == 1:
        return str(error.args[0]) if _is_sentence(error.args[0]) else f"Key {text} is missing."
    return text or name_of(type(error))


def _is_sentence(key: object) -> bool:
    """Whether a KeyError holds what somebody wanted to say instead of a key."""
    return isinstance(key, str) and key.count(" ") > 2


def _frames(error: BaseException, project_path: Path) -> list[wire.Frame]:
    """The frames of `error`, or of what caused it when only that passed through the project's code."""
    first: list[wire.Frame] = []
    for each in causes(error):
        frames = _frames_of(each, project_path)
        if any(frame.is_project for frame in frames):
            return frames
        first = first or frames
    return first


def _frames_of(error: BaseException, project_path: Path) -> list[wire.Frame]:
    frames = [
        _frame(file, line, function, project_path)
        for file, line, function in _places(error.__traceback__)
        if not file.startswith(OURS)
    ]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append(_frame(error.filename, error.lineno or 0, "", project_path))
    if len(frames) > MAX_FRAMES:
        frames = [*frames[: MAX_FRAMES // 3], *frames[-MAX_FRAMES * 2 // 3 :]]
    return frames


def _places(current: TracebackType | None) -> list[tuple[str, int, str]]:
    places = []
    while current is not None:
        code = current.tb_frame.f_code
        places.append((code.co_filename, current.tb_lineno, code.co_name))
        current = current.tb_next
    return places


def _frame(file: str, line: int, function: str, project_path: Path) -> wire.Frame:
    is_project = _is_project(file, project_path)
    return wire.Frame(
        file=_short(file, project_path, is_project),
        line=line,
        function=function,
        code=masking.text(_cut(linecache.getline(file, line).strip(), MAX_CODE)),
        is_project=is_project,
    )


def _is_project(file: str, project_path: Path) -> bool:
    is_inside = file.startswith(f"{project_path}/")
    return is_inside and "/site-packages/" not in file and not file.startswith(LIBRARIES)


def _short(file: str, project_path: Path, is_project: bool) -> str:
    if is_project:
        return file[len(str(project_path)) + 1 :]
    return file.rpartition("/site-packages/")[2]


def _traceback(error: BaseException) -> str:
    """As Python prints it, without our own frames above the project's and Kedro's."""
    start = error.__traceback__
    while start is not None and start.tb_frame.f_code.co_filename.startswith(OURS):
        start = start.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, start))
    except Exception as broken:  # noqa: BLE001  (a __str__ of the project's may do anything)
        return f"(the traceback cannot be written: {type(broken).__name__})"


def _cut(text: str, limit: int) -> str:
    """`text`, its middle left out when it is longer than `limit`: both ends of a traceback matter."""
    if len(text) <= limit:
        return text
    return f"{text[: limit // 3]}\n… ({len(text) - limit:,} characters left out)\n{text[-limit * 2 // 3 :]}"
