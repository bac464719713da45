"""Filter, smooth, forecast, simulate and fit many series; compiling ahead. Loads JAX: call `configure_jax` first."""

import jax

from luna_serving.engines.statespace.batch import Options, filter_batch, forecast_batch, smooth_batch
from luna_serving.engines.statespace.fit.estimate import Task as FitTask
from luna_serving.engines.statespace.fit.estimate import fit_batch
from luna_serving.engines.statespace.fit.estimate import warm_up as warm_up_fits
from luna_serving.engines.statespace.process.jax_process import configure_jax
from luna_serving.engines.statespace.simulation.simulate import simulate
from luna_serving.engines.statespace.simulation.simulation_smoother import simulate_given
from luna_serving.engines.statespace.warm_up import warm_up, warm_up_plans

__all__ = [
    "FitTask",
    "Options",
    "configure_jax",
    "device",
    "filter_batch",
    "fit_batch",
    "forecast_batch",
    "simulate",
    "simulate_given",
    "smooth_batch",
    "warm_up",
    "warm_up_fits",
    "warm_up_plans",
]


def device() -> str:
    """The platform that JAX computes on in this process: "cpu" or "gpu"."""
    return jax.default_backend()
