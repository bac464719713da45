"""Quota and rate, as values and in Redis: debits, windows, the rate algorithm, keys and scripts. No tables."""
