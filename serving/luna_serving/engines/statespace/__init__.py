"""Linear Gaussian state-space models in JAX: filter, smoother, forecast, simulation, maximum likelihood.

Rooms, each importing only those before it: `process`, `model` (with `kinds`), `results`, `recursions`, `running`;
then `multiprecision` and `plans` (with `gpu`), which run where they suit a series better; `soundness`, which checks
answers; `simulation` and `fit`. `batch` answers many series at once. Capabilities import `api` only.

Conventions follow Durbin & Koopman (2012), "Time Series Analysis by State Space Methods", 2nd ed.
"""
