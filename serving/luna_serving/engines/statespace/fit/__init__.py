"""Estimating a model's parameters from series: maximum likelihood by exact gradients, EM, standard errors.

Here belongs the search for parameters. What a kind's parameters are, and which values they may take, stands in
`luna_serving.engines.statespace.kinds`; the clock is an argument.
"""
