"""Nightly retraining: triggers say when, the gate says whether, the registry keeps what was promoted."""
