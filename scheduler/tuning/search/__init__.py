"""What to try next: the sampler, its portfolio of earlier configurations, related studies."""
