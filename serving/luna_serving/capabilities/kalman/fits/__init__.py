"""`/kalman/fit`: the request, job and answer of an estimation.

The mathematics is `luna_serving.engines.statespace.fit`.
"""
