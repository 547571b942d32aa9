"""The Kedro side of Kedro Console: what is here runs in a project's own interpreter."""
