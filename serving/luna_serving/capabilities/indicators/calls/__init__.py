"""The way of a call: parsed, located, charged, looked up or computed, rendered."""
