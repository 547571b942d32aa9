"""The parent of the tree: supervisor, which also ends when its terminal goes away, and says that it stops.

It is run as a file so that it loads nothing but supervisor.
"""

from __future__ import annotations

import signal
import sys

from supervisor import supervisord
from supervisor.options import ServerOptions


class Options(ServerOptions):
    def setsignals(self) -> None:
        """A closed terminal stops the tree; supervisor alone would start it anew, seen by nobody."""
        super().setsignals()
        signal.signal(signal.SIGHUP, lambda *_: self.signal_receiver.receive(signal.SIGTERM, None))

    def get_signal(self) -> int | None:
        number: int | None = super().get_signal()
        if number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            say("Kedro Console stops; work that runs is handed back within seconds.")
        return number


def say(sentence: str) -> None:
    try:
        print(sentence, flush=True)  # noqa: T201 - this is what the terminal is for
    except OSError:
        pass  # the terminal is gone: nobody is left to be told


def main() -> int:
    supervisord.ServerOptions = Options
    supervisord.main(sys.argv[1:])
    say("Kedro Console has stopped.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
