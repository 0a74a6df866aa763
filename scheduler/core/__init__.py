"""Values and facts that every room uses: runs, attempts, studies, errors, the clock. No I/O."""
