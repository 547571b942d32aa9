"""A Dockerfile carried out in a bare root: every RUN as it is written, every COPY as .dockerignore lets it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Final

import pytest

SUITE: Final = "bookworm"
PACKAGES: Final = ("python3", "python3-venv", "ca-certificates")
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kedro-console"
PASSED_ON: Final = re.compile(r"(PIP_|[a-z]+_proxy$|[A-Z]+_PROXY$)")


@dataclass(frozen=True)
class Image:
    """A root, and how its Dockerfile says that it is run."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "0:0"
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    healthcheck: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()


def bare_root(to: Path) -> Path:
    """Debian with a Python, as the image of that name begins; made once for this machine."""
    kept = CACHE / f"{SUITE}.tar"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        made = to.with_name("debootstrap")
        made.mkdir()
        command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(made)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            pytest.skip(f"needs what debootstrap fetches: {(ended.stdout + ended.stderr).splitlines()[-1:]}")
        draft = kept.with_suffix(".draft")
        subprocess.run(["tar", "--create", "--file", draft, "--directory", made, "."], check=True)
        draft.rename(kept)
        shutil.rmtree(made)
    to.mkdir()
    subprocess.run(["tar", "--extract", "--file", kept, "--directory", to], check=True)
    (to / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    for name in ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf"):
        if Path(name).is_file():
            shutil.copyfile(name, to / name[1:])
    return to


def build(dockerfile: Path, context: Path, bases: dict[str, Image], folder: Path) -> Image:
    """The last stage; `bases` are the images that a FROM may name."""
    known, said, image = dict(bases), {}, Image(folder)
    for word, rest in instructions(dockerfile.read_text()):
        if word == "ARG":
            said.update([rest.split("=", 1)])
        elif word == "FROM":
            base, _, name = re.sub(r"\$\{(\w+)\}", lambda found: said[found[1]], rest).partition(" AS ")
            image = _copy(known[base], folder / f"stage-{len(known)}")
            known[name or f"stage {len(known)}"] = image
        else:
            image = _carry_out(image, word, rest, context, known)
            known = {name: image if each.root == image.root else each for name, each in known.items()}
    return image


def instructions(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in whole if line.strip()]


def _copy(base: Image, to: Path) -> Image:
    """Files of an image are the same on disk: what is installed takes the place of a name, not of its content."""
    to.parent.mkdir(exist_ok=True)
    subprocess.run(["cp", "--archive", "--link", base.root, to], check=True)
    return replace(base, root=to)


def _carry_out(image: Image, word: str, rest: str, context: Path, known: dict[str, Image]) -> Image:
    match word:
        case "RUN":
            _run(image, rest)
        case "COPY":
            _put(image, shlex.split(rest), context, known)
        case "ENV":
            pairs = [pair.partition("=") for pair in shlex.split(rest)]
            had = dict(image.environment)
            added = {name: re.sub(r"\$(\w+)", lambda found: had.get(found[1], PATH), value) for name, _, value in pairs}
            return replace(image, environment={**had, **added})
        case "WORKDIR":
            (image.root / rest[1:]).mkdir(parents=True, exist_ok=True)
            return replace(image, folder=rest)
        case "USER":
            return replace(image, user=rest)
        case "ENTRYPOINT":
            return replace(image, entrypoint=tuple(json.loads(rest)))
        case "CMD":
            return replace(image, command=tuple(json.loads(rest)))
        case "HEALTHCHECK":
            return replace(image, healthcheck=tuple(json.loads(rest.partition(" CMD ")[2])))
        case "VOLUME":
            return replace(image, volumes=(*image.volumes, *json.loads(rest)))
        case "LABEL" | "EXPOSE" | "STOPSIGNAL":
            pass
        case _:
            raise AssertionError(f"{word} is not known here: teach it to tests/shipped/image.py")
    return image


PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NO_INDEX: Final = ("Retrying (", "ConnectionError", "Temporary failure in name resolution")


def _run(image: Image, command: str) -> None:
    passed = {name: value for name, value in os.environ.items() if PASSED_ON.match(name)}
    ended = subprocess.run(
        ["chroot", image.root, "/bin/sh", "-c", f"cd {image.folder} && {command}"],
        env={"PATH": PATH, "HOME": "/root", **passed, **image.environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = ended.stdout + ended.stderr
    if ended.returncode and any(sign in said for sign in NO_INDEX):
        pytest.skip("needs the package index")
    assert ended.returncode == 0, f"RUN {command}\n{said[-3000:]}"


def _put(image: Image, words: list[str], context: Path, known: dict[str, Image]) -> None:
    options = dict(word.removeprefix("--").split("=", 1) for word in words if word.startswith("--"))
    *sources, target = [word for word in words if not word.startswith("--")]
    to = image.root / str(PurePosixPath(image.folder) / target)[1:]
    for source in sources:
        place = to / Path(source).name if target.endswith("/") else to
        if "from" in options:
            taken = known[options["from"]].root / source[1:]
            subprocess.run(["cp", "--archive", "--link", "--no-target-directory", taken, place], check=True)
        else:
            _put_from(context, source, place, options.get("chown", "root:root"), image)


def _put_from(context: Path, source: str, place: Path, owner: str, image: Image) -> None:
    ignored = (context / ".dockerignore").read_text().splitlines()
    every = [context / source] if (context / source).is_file() else sorted((context / source).rglob("*"))
    names = [file.relative_to(context) for file in every if file.is_file()]
    let_in = [name for name in names if not is_ignored(name.as_posix(), ignored)]
    assert let_in, f"COPY {source}: .dockerignore lets nothing of it in"
    for name in let_in:
        at = place if name.as_posix() == source else place / name.relative_to(source)
        at.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(context / name, at)
    subprocess.run(["chroot", image.root, "chown", "-R", owner, f"/{place.relative_to(image.root)}"], check=True)


def is_ignored(name: str, patterns: list[str]) -> bool:
    """As the builder reads it: the last pattern that fits the file, or a folder above it, decides."""
    above = [name, *map(str, PurePosixPath(name).parents)][:-1]
    found = False
    for pattern in filter(None, patterns):
        if any(_fits(path, pattern.lstrip("!")) for path in above):
            found = not pattern.startswith("!")
    return found


def _fits(path: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatch(PurePosixPath(path).name, pattern[3:])
    return path.count("/") == pattern.count("/") and fnmatch(path, pattern)
