"""The custom resources as values: parsed once at the edge, complete and typed. No I/O, no decisions."""
