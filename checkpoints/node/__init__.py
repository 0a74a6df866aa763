"""The agent that runs on each node of an attempt."""
