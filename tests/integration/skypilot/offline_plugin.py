"""Loaded into every process of SkyPilot's API server: no look for the Internet, shorter gaps between polls."""

import time
from typing import Any

from sky.server import plugins

LONGEST_GAP_S = 0.3
KEPT = "skypilot-status-refresh-daemon"


class OfflinePlugin(plugins.BasePlugin):
    def __init__(self, health: str, patient: bool = False) -> None:
        """``patient``: leave SkyPilot's own gaps as they are."""
        self.health, self.patient = health, patient

    def install(self, extension_context: Any) -> None:
        from sky.backends import backend_utils
        from sky.jobs import utils as job_utils
        from sky.provision.slurm import instance
        from sky.server import daemons

        backend_utils._TEST_IP_LIST = [self.health]  # two public addresses
        if self.patient:
            return
        job_utils.JOB_STATUS_CHECK_GAP_SECONDS = 3  # 15
        job_utils.JOB_STARTED_STATUS_CHECK_GAP_SECONDS = 2  # 5
        instance.time = ShortSleeps()  # it sleeps between looks at Slurm, and nowhere else
        # Each is a process that takes seconds to start. That of clusters stays; the others have nothing to do here.
        kept = [daemon for daemon in daemons.INTERNAL_REQUEST_DAEMONS if daemon.id == KEPT]
        daemons.INTERNAL_REQUEST_DAEMONS[:] = kept


class ShortSleeps:
    """The module `time` with a shorter `sleep`."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, LONGEST_GAP_S))
