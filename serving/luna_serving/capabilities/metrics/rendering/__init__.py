"""Prometheus' HTTP API as bytes: parameters of queries, answers, errors.

Belongs here: what `/prometheus/api/v1/*` and `/metrics/query/{instant,range}` read and write, exactly as Prometheus
does. Not here: evaluation (`luna_serving.engines.promql`), routes, and answers in Luna's own formats.
"""
