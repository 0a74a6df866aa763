"""The process that runs a sweep on its machine with Ray Tune: `python -m spotwise.scheduler.tuning.host`."""
