from console.tree import first

first.step_behind()

from console.tree.roles import main  # noqa: E402 - loaded by the process that needs it

raise SystemExit(main())
