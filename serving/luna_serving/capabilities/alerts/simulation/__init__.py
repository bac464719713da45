"""Replays a rule over stored samples: when it would have fired. Writes nothing."""
