"""The first process of a container: nobody else asks for the end of orphans, or hears signals for the others."""

from __future__ import annotations

import os
import signal
from typing import Final

PASSED_ON: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def step_behind() -> None:
    """When this is the first process: go on as a child of it, which passes signals on and ends with this child."""
    if os.getpid() != 1:
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    child = os.fork()
    if child:
        for number in PASSED_ON:
            signal.signal(number, lambda heard, _: os.kill(child, heard))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    if child:
        os._exit(_wait_for(child))


def _wait_for(child: int) -> int:
    """Its exit code, as a shell says it; orphans that end meanwhile are asked for, and gone."""
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
