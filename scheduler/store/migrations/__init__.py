"""Steps from one schema to the next, run by Alembic in the order of their numbers. A released step is final."""
