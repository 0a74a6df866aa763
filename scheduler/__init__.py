"""Everything of spotwise that decides and acts."""
