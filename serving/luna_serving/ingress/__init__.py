"""The HTTP edge: who are you, may you, where to; and how every answer looks.

Here belong credentials, admission (state, rate, quota), coalescing, problems, health and metrics. What a model
computes does not: each capability brings its own folder and registers its routes with the edge.
"""
