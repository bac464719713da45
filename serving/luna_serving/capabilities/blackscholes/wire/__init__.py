"""Reads requests: JSON, Arrow and Parquet, dates and day counts; and the call that they make."""
