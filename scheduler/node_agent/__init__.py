"""The agent that runs on each node of an attempt, and what every node shares: events, process trees, running scripts.

``python -m spotwise.scheduler.node_agent`` is the agent of nodes that are elsewhere; the local engine has its own,
simpler one. Standard library and psutil only, and fsspec where the run's files lie behind a URL.
"""
