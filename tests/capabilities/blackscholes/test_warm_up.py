"""A replica that is ready at once compiles meanwhile, and the first call waits for that."""

import time
from math import exp, log, sqrt
from statistics import NormalDist

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from luna_serving.capabilities.blackscholes.job import PricedColumns, PricingJob
from luna_serving.capabilities.blackscholes.replica import BlackScholesReplica
from luna_serving.capabilities.blackscholes.settings import BlackScholesSettings


async def test_the_first_call_waits_for_what_is_compiled_in_the_background() -> None:
    replica = BlackScholesReplica(BlackScholesSettings(compile_ahead=False), CollectorRegistry())
    begun = time.monotonic()
    await replica.warm_up()
    ready_after = time.monotonic() - begun
    option = {"sign": 1.0, "underlying": 100.0, "strike": 110.0, "rate": 0.03, "dividend_yield": 0.0, "expiry": 1.0}
    columns = {name: np.array([value]) for name, value in (option | {"volatility": 0.2}).items()}
    (answer,) = await replica.compute([PricingJob(columns, 1, ("price",), "european", False, "columns", {})])
    answered_after = time.monotonic() - begun
    assert isinstance(answer, PricedColumns)
    normal, d1 = NormalDist(), (log(100.0 / 110.0) + 0.03 + 0.02) / 0.2
    assert answer.results["price"][0] == pytest.approx(
        100.0 * normal.cdf(d1) - 110.0 * exp(-0.03) * normal.cdf(d1 - 0.2 * sqrt(1.0)), rel=1e-12
    )
    # Compiling takes seconds, or tenths where it is cached.
    assert ready_after < 0.1 * answered_after
