"""What holds for every test: the same examples on every machine, and nothing of this machine's own spotwise."""

from __future__ import annotations

import os

from hypothesis import settings

# No example depends on chance or on how busy the machine is. To search for new ones: --hypothesis-profile=default
settings.register_profile("ci", derandomize=True, deadline=None, database=None)
settings.load_profile("ci")

for name in [name for name in os.environ if name.startswith("SPOTWISE_") and not name.startswith("SPOTWISE_TEST_")]:
    del os.environ[name]
