"""``python -m alsmuscle``: the command line."""

from alsmuscle.cli import main

raise SystemExit(main())
