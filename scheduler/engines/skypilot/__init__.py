"""The engine ``skypilot``: attempts are clusters that SkyPilot provisions on any cloud, Kubernetes or Slurm."""
