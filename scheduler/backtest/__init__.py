"""Policies replayed on recordings of spot availability and prices, beside the optimum that knows the future. Pure."""
