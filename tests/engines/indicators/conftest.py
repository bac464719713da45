"""The Kalman indicators run JAX, which must be in float64 before anything of it runs."""

from luna_serving.engines.statespace.process.jax_process import configure_jax

configure_jax()
