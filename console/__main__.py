from console.tree.roles import main

raise SystemExit(main())
