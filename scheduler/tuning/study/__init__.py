"""A study as values: its space, events, state, and the task of one sweep."""
