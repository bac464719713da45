"""Metrics of a process, their sum over all processes, and health."""
