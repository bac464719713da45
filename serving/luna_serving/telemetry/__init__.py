"""Logs, metrics and spans of a process, the sum of the metrics over all processes, and health."""
