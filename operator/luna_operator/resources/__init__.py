"""The custom resources as typed values, parsed once at the edge. No I/O, no decisions."""
