"""Estimating a model's parameters from series: maximum likelihood by exact gradients, EM, standard errors.

Here belongs the search for parameters. A kind's parameters, and which values they may take, are in
`luna_serving.engines.statespace.kinds`; the clock is an argument.

`estimate` prepares a `Multistart` per series (`search_space` says what is searched, `objective` what a point is worth)
and runs searches (`quasi_newton`, `em`) from the model's own values and from the best of many places (`screening`).
All searches wait together for each round of evaluations (`parallel_search`, `evaluation`), which runs as lanes of one
compiled program (`layout`, `score`). `boundary` and `curvature` then settle variances of zero and saddles; `report`
answers.
"""
