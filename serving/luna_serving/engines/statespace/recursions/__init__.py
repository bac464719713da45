"""One step and one chunk of the filters and of the smoother, jitted. Knows arrays, not series or batches."""
