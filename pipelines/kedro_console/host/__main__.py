"""`python -m kedro_console.host`: the host of one project."""

from kedro_console.host.host import main

main()
