"""Reports from an HTTP API: fetch, process, write, draw, deliver."""

__version__ = "0.1.0"
