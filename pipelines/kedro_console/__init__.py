"""The Kedro side of Kedro Console: what is here runs in a project's own interpreter."""

__version__ = "0.3.0"
