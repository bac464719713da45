"""Monte Carlo valuation in blocks: block b is a pure function of the problem, the seed and b.

    sampling    random numbers: counters (Philox), scrambled Sobol nets, Brownian bridges
    models      what moves the assets from one date to the next
    payoffs     what a path pays, and the control variates beside it
    exercise    early exercise: regression policies and their dual upper bound
    reduction   moments and tails of blocks, joined in a fixed tree; estimates with their errors
    api         what capabilities import

All arithmetic on paths is NumPy's: there is no program to compile, and no thread count that could change a bit
(docs/decisions/0048). BLAS is kept off the paths for the same reason: how it splits a product depends on its threads.
"""
