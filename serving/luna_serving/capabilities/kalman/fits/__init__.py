"""`/kalman/fit`: estimating a model, as a request, a job and an answer.

The mathematics is `luna_serving.engines.statespace.fit`.
"""
