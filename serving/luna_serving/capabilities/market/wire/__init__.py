"""From queries to checked requests, and from bars to bytes."""
