"""Short-lived children of the tree's parent."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Final

LOOK_SECONDS: Final = 0.2


def fork(work: Callable[[], object]) -> int:
    """Do this work in a child that ends at the latest with its parent; the child's number."""
    sys.stdout.flush()
    parent = os.getpid()
    if child := os.fork():
        return child
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _leave)
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()
        work()
        code = 0
    except SystemExit:
        pass  # asked to end
    except BaseException:  # noqa: BLE001 - the end of this process: whatever it was has to be seen
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def do(work: Callable[[], object]) -> bool:
    """Do this work in a child and wait for it; whether it went well. What it needed of memory is gone with it."""
    return os.waitstatus_to_exitcode(os.waitpid(fork(work), 0)[1]) == 0


def _leave(*_: object) -> None:
    raise SystemExit


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
