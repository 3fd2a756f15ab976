"""python -m rldistill."""

import sys

from rldistill.cli.main import main

sys.exit(main())
