"""`/kalman/simulate`: the request, job and answer of a simulation.

The mathematics is `luna_serving.engines.statespace.simulation.simulate`.
"""
