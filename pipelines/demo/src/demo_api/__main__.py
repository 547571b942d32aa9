"""`python -m demo_api --port 8010`: serve until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import json
import signal
import sys

from demo_api.limits import Limits
from demo_api.messages import Refusal
from demo_api.server import ApiServer


def main() -> int:
    """Serve; 0 when asked to stop, 1 when the address cannot be taken."""
    options = read_options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    limits = Limits()
    try:
        limits.change(json.loads(options.limits))
    except (Refusal, ValueError, AttributeError) as error:
        print(f"--limits is not understood: {error}", file=sys.stderr)
        return 1
    try:
        server = ApiServer(options.host, options.port, limits=limits)
    except OSError as error:
        print(
            f"The demo API cannot serve on {options.host}:{options.port}: {error.strerror}. "
            "Stop what listens there or choose another --port.",
            file=sys.stderr,
        )
        return 1
    try:
        print(f"The demo API serves on {server.url}/datasets", flush=True)
        server.serve_forever()
    except KeyboardInterrupt:
        return 0
    finally:
        server.server_close()
    return 0


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo_api", description="Serve real public data sets as JSON.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=8010, help="port to listen on, 0 for a free one (default 8010)")
    parser.add_argument(
        "--limits", default="{}", metavar="JSON", help='for example {"/metrics": {"requests": 1, "seconds": 2}}'
    )
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
