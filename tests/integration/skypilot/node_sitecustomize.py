"""Read by every Python of SkyPilot's runtime on the nodes.

All machines here share one network. A skylet that finds its port taken is started again every few seconds, and two that
start at once choose the same free one. So each looks for one from a place of its own on.
"""

import random
import sys

if "sky.skylet.attempt_skylet" in sys.orig_argv:
    from sky.skylet import constants

    constants.SKYLET_GRPC_PORT = random.randint(20_000, 30_000)  # below the ports that connections are given
