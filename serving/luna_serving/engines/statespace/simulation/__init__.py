"""Draws from a model, free or given observations."""
