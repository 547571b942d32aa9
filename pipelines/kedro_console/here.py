"""What a node may know of where it runs, and what it may ask: the console answers from its rows.

Under plain `kedro run` nobody listens: `is_supervised()` is False, and what can work alone does.
"""

from kedro_console.line.here import AskError as AskError
from kedro_console.line.here import ask as ask
from kedro_console.line.here import is_supervised as is_supervised
from kedro_console.line.here import node as node
from kedro_console.line.here import report as report
from kedro_console.line.here import run_id as run_id
