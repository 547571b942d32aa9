"""The same project run by plain Kedro and by the console, side by side: `python -m tests.cases [FOLDER]`."""
