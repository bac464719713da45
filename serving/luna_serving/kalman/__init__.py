"""The Kalman capability: its routes, its wire schemas and its Serve deployment.

Here belongs what turns a call into arrays for `luna_serving.engines.statespace` and its answer back. Who may call, and
what it costs, is decided in `luna_serving.ingress`. `wire` reads requests; `fits`, `simulations`, `streams` and `named`
models are rooms of their own; what all share stands here.
"""
