"""A `JobSpec` and what is known of the market to a `Plan`, with a reason for each offer. Pure."""
