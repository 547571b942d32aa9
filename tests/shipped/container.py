"""A container without a container engine: a process that is the first of its namespace, on a read-only root."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.live import until
from tests.shipped.image import PATH, Image

DEVICES = ("null", "zero", "full", "random", "urandom")


@dataclass(frozen=True)
class Container:
    image: Image
    outside: subprocess.Popen[bytes]
    environment: dict[str, str]
    log: Path
    is_shared: bool = False

    @property
    def first(self) -> int:
        """Its first process, by the number that it has out here; 0 when it is gone."""
        children = Path(f"/proc/{self.outside.pid}/task/{self.outside.pid}/children")
        return int((children.read_text().split() or ["0"])[0]) if children.exists() else 0

    @property
    def main(self) -> int:
        """The process of the image: the first one, or where a pod shares its processes the child of that."""
        if not self.is_shared or not (first := self.first):
            return self.first
        children = Path(f"/proc/{first}/task/{first}/children")
        return int((children.read_text().split() or ["0"])[0]) if children.exists() else 0

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def exec(self, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """As a probe of this kind does it: in the container, as its user, in its folder."""
        enter = ["nsenter", f"--target={self.first}", "--mount", "--pid", "sh", "-c", entry(self, words)]
        return subprocess.run(enter, capture_output=True, text=True, check=False)

    def stop(self, seconds: float) -> int:
        """SIGTERM to the image's process, as an engine sends it; its exit code, if it ends in time."""
        os.kill(self.main, signal.SIGTERM)
        return self.outside.wait(seconds)

    def processes(self) -> dict[str, str]:
        """The state, one letter, of each of its processes, by name and number."""
        space = Path(f"/proc/{self.first}/ns/pid").readlink()
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has just ended
                if (folder / "ns/pid").readlink() == space:
                    name, _, facts = (folder / "stat").read_text().partition("(")[2].rpartition(")")
                    found[f"{name} {folder.name}"] = facts.split()[0]
        return found


def entry(container: Container, words: Sequence[str]) -> str:
    """The shell's line that becomes these words inside, with no rights, and with no variable of ours."""
    image = container.image
    user, _, group = image.user.partition(":")
    variables = {"PATH": PATH, **image.environment, **container.environment}
    inside = f"cd {shlex.quote(image.folder)} && exec {shlex.join(words)}"
    return "exec " + shlex.join([
        "chroot", str(image.root), "setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups",
        "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all",
        "env", "-i", *(f"{name}={value}" for name, value in variables.items()), "sh", "-c", inside,
    ])  # fmt: skip


def volume(image: Image, path: str, folder: Path) -> Path:
    """A named volume, which begins as what the image has there: with that owner."""
    place = folder / path.strip("/").replace("/", "-")
    subprocess.run(["cp", "--archive", "--no-target-directory", image.root / path[1:], place], check=True)
    return place


@contextmanager
def run(
    image: Image,
    words: Sequence[str],
    *,
    log: Path,
    volumes: dict[str, Path],
    environment: dict[str, str],
    is_shared: bool = False,
) -> Iterator[Container]:
    """Start it; whatever is left of it at the end is killed."""
    root = shlex.quote(str(image.root))
    lines = ["set -e", "mount --make-rprivate /", f"mount --bind {root} {root}"]
    lines += [f"mount --bind {shlex.quote(str(place))} {root}{path}" for path, place in volumes.items()]
    lines += [f"mount -t tmpfs -o mode=1777 tmpfs {root}/tmp", f"mount -t proc proc {root}/proc"]
    lines += [f"mount -t tmpfs -o mode=755 tmpfs {root}/dev", f"mkdir -m 1777 {root}/dev/shm"]
    lines += [f"touch {root}/dev/{name} && mount --bind /dev/{name} {root}/dev/{name}" for name in DEVICES]
    lines += [f"mount -o remount,bind,ro {root}"]
    prepared = Container(image, None, environment, log)  # type: ignore[arg-type] # only what `entry` looks at
    start = f"({entry(prepared, words)}) & wait $!" if is_shared else entry(prepared, words)
    script = "\n".join([*lines, start])
    with log.open("wb") as output:
        outside = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "sh", "-c", script],
            stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    started = Container(image, outside, environment, log, is_shared)
    try:
        until(lambda: started.main or outside.poll() is not None, what="the container's first process")
        yield started
    finally:
        if first := started.first:  # the kernel ends all others of its namespace with it
            os.kill(first, signal.SIGKILL)
        outside.kill()
        outside.wait()
