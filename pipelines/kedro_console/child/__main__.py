"""`python -m kedro_console.child`: a step in a process of its own."""

from kedro_console.child.child import main

main()
