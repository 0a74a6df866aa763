"""``python -m spotwise.scheduler.tuning.host <run folder>/sweep.json``: the process of one sweep."""

import sys

from .main import main

sys.exit(main(sys.argv[1:]))
