"""A YAML text in, a checked `JobSpec` or `Settings` out; all faults at once, each with its line."""
