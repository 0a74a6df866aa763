"""``python -m spotwise.scheduler.cli``: what crontab lines and supervisors in the background call."""

from .main import main

main()
