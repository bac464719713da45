"""Named models and streams in Postgres. Only this capability reads and writes these tables."""
