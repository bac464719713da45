"""`/kalman/simulate`: drawing paths, as a request, a job and an answer.

The mathematics is `luna_serving.engines.statespace.simulation.simulate`.
"""
