"""`python -m edge.evaluate` is `anju-evaluate`."""

import sys

from edge.evaluate.cli import main

sys.exit(main())
