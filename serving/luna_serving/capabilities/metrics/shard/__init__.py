"""The process that has an account's samples: heads in memory, write-ahead rows, chunks, the index of series.

Belongs here: what runs in the shard's process. Not here: statements (`store`), PromQL (`engines.promql`), and whatever
needs JAX or TA-Lib, which this process must not load.
"""
