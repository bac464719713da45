"""The one place that touches JAX's settings, which are the whole process's."""

import jax
import numpy as np


class Float64RequiredError(RuntimeError):
    """The engine was asked to run while JAX still truncates to float32: call `configure_jax` at start-up."""


def configure_jax() -> None:
    """Let this process's JAX compute in float64, and on the thread that asks. Call it before anything of JAX's runs.

    By default JAX's CPU backend hands every program to a thread of its own, although the caller waits for it: two
    wake-ups per call, a core that changes, and a cache to fill again (docs/decisions/0019). A process-wide switch is
    the caller's decision, so importing the engine never flips it.
    """
    jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]
    # Read once, when JAX starts its backend; later it changes nothing.
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # type: ignore[no-untyped-call]


def require_float64() -> None:
    """Refuse to go on in float32: JAX would round float64 inputs silently."""
    if jax.dtypes.canonicalize_dtype(np.float64) != np.float64:
        raise Float64RequiredError(
            "the state-space engine computes in float64, which JAX has switched off: "
            "call luna_serving.engines.statespace.process.jax_process.configure_jax() once, before the first filter"
        )
