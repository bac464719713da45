"""The state-space tests: fixtures, and how many programs were compiled."""

import jax
import jax.monitoring
import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import HealthCheck, settings

from luna_serving.engines.statespace.process.jax_process import configure_jax

COMPILED = "/jax/core/compile/backend_compile_duration"

configure_jax()

# The first example of a shape compiles it; that is no slow test.
settings.register_profile("statespace", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("statespace")


@pytest.fixture(scope="session")
def nile() -> np.ndarray:
    """Annual flow of the Nile at Aswan 1871-1970 (Durbin & Koopman's running example)."""
    return sm.datasets.nile.load_pandas().data.volume.to_numpy(dtype=np.float64)


@pytest.fixture
def compilations():
    """The programs that XLA compiles during a test."""
    seen: list[str] = []

    def listen(event: str, seconds: float, **details: object) -> None:
        if event == COMPILED:
            seen.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield seen
    jax.monitoring.unregister_event_duration_listener(listen)
