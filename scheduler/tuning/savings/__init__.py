"""What earlier studies save a sweep: expected before it, realised after it."""
