"""Runs the recursions over series: prepares models, packs series into chunks, passes over them, unpacks answers."""
