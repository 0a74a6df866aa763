"""Where prices and hazards come from: one file a source, the only input and output of the cost models."""
