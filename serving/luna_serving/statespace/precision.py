"""The one place that touches JAX's global number format."""

import jax
import numpy as np


class Float64RequiredError(RuntimeError):
    """The engine was asked to run while JAX still truncates to float32: call `enable_float64` at start-up."""


def enable_float64() -> None:
    """Let this process's JAX compute in float64. For every thread; call it before the first jitted call.

    A process-wide switch is the caller's decision, so importing the engine never flips it.
    """
    jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]


def require_float64() -> None:
    """Refuse to go on in float32: JAX would round float64 inputs without a word."""
    if jax.dtypes.canonicalize_dtype(np.float64) != np.float64:
        raise Float64RequiredError(
            "the state-space engine computes in float64, which JAX has switched off: "
            "call luna_serving.statespace.precision.enable_float64() once, before the first filter"
        )
