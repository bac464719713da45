"""Linear Gaussian state-space models in pure JAX: models, filter, smoother, forecast, and later fit.

Here belongs mathematics on arrays. No I/O, no wire formats, no Ray: time, randomness and parameters are
arguments. Conventions follow Durbin & Koopman (2012), "Time Series Analysis by State Space Methods", 2nd ed.
"""
