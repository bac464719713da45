"""Validates tables of time series: CSV, Parquet, Arrow IPC. Streams with pyarrow, checks with numpy.

Runs in a child of the sandbox: imports the standard library, numpy and pyarrow, nothing of the rest of Luna.
"""
