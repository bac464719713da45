"""A process of its own, in which nothing else has configured JAX: `luna up --only market,indicators` is one."""

import subprocess
import sys

PROGRAM = """
import asyncio
import jax
from prometheus_client import CollectorRegistry
from luna_serving.capabilities.indicators.replica import IndicatorReplica
from luna_serving.capabilities.indicators.settings import IndicatorSettings
from luna_serving.engines.indicators.bars import Bars
from luna_serving.engines.indicators.catalogue import CATALOGUE, checked
from luna_serving.engines.indicators.compute import compute
from luna_serving.engines.indicators.functions import kalman
import numpy as np

asyncio.run(IndicatorReplica(IndicatorSettings(), CollectorRegistry()).warm_up())
kalman.compile_ahead()
seen = []
jax.monitoring.register_event_duration_secs_listener(lambda event, seconds, **details: seen.append(event))
days = np.arange("2020-01-01", "2023-01-01", dtype="datetime64[D]").astype("datetime64[us]")
close = 100.0 + np.arange(len(days)) % 11
for name in ("kalman_level", "kalman_trend", "kalman_beta"):
    entry = CATALOGUE[name]
    bars = Bars(days, close=close)
    lines = compute(entry, checked(entry, {}), bars, benchmark=bars)
    assert all(np.isfinite(line[-1]) for line in lines.values()), name
assert "/jax/core/compile/backend_compile_duration" not in seen
"""


def test_a_replica_computes_kalman_filters_where_no_other_capability_is_served() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
