"""When a trial, or a whole sweep, has run long enough."""
