"""The values that are known, from papers and textbooks."""

import math

import numpy as np
import pytest
from tests.engines.finance.montecarlo.valued import (
    CALL,
    PSEUDO,
    PUT,
    SOBOL,
    black_scholes,
    gbm,
    lewis,
    merton,
    merton_series,
    run,
    valued,
    z_of,
)

from luna_serving.engines.finance.montecarlo.api.description import (
    Asian,
    Barrier,
    European,
    Exercise,
    Heston,
    Portfolio,
    Problem,
    StateSpace,
)
from luna_serving.engines.finance.montecarlo.black_scholes import geometric_asian
from luna_serving.engines.statespace.api.description import KINDS, Known

# Of a test with fixed seeds: a change of the numbers, not chance, makes it fail.
MOST_Z = 4.0


@pytest.mark.parametrize("sampling", [PSEUDO, SOBOL], ids=lambda s: s.value)
@pytest.mark.parametrize(("side", "exact"), [(CALL, 9.22700550815), (PUT, 6.33008062755)], ids=["call", "put"])
def test_european_options(side, exact, sampling) -> None:
    assert abs(z_of(valued(gbm(), European(side, 100.0), sampling=sampling), exact)) < MOST_Z


def test_a_net_is_a_hundred_times_as_good_as_independent_paths() -> None:
    errors = [valued(gbm(), European(CALL, 100.0), sampling=s).value.std_error for s in (PSEUDO, SOBOL)]
    assert errors[1] < errors[0] / 10


def test_the_geometric_asian_closed_form() -> None:
    fixings = np.arange(1, 11) / 10
    exact = geometric_asian(CALL, 100.0, 100.0, 0.06, 0.03, 0.2, fixings, 1.0)
    assert exact == pytest.approx(5.342560663499, abs=1e-11)
    done = valued(gbm(100.0, 0.06, 0.03), Asian(CALL, 100.0, arithmetic=False, fixings=tuple(fixings.tolist())))
    assert abs(z_of(done, exact)) < MOST_Z


def test_the_arithmetic_asian_of_vecer() -> None:
    """Continuous averaging by Richardson's extrapolation in the number of fixings."""
    values = []
    for n in (64, 128):
        fixings = tuple(i / n for i in range(1, n + 1))
        done = valued(gbm(2.0, 0.05, 0.0, 0.5), Asian(CALL, 2.0, arithmetic=True, fixings=fixings), blocks=8)
        values.append(done.value.value)
    assert 2 * values[1] - values[0] == pytest.approx(0.246416, abs=1e-4)


def test_the_control_variate_of_the_asian_option_takes_nine_tenths_of_the_error() -> None:
    payoff = Asian(CALL, 100.0, arithmetic=True, fixings=(*(i / 12 for i in range(1, 12)), 1.0))
    alone, controlled = (valued(gbm(), payoff, sampling=PSEUDO, controls=controls).value for controls in (False, True))
    assert controlled.std_error < alone.std_error / 10
    assert abs(controlled.value - alone.value) < MOST_Z * alone.std_error


@pytest.mark.parametrize("steps", [1, 7])
@pytest.mark.parametrize("sampling", [PSEUDO, SOBOL], ids=lambda s: s.value)
def test_the_barrier_option_of_haug(steps, sampling) -> None:
    payoff = Barrier(CALL, 90.0, 95.0, up=False, out=True, rebate=3.0)
    done = valued(gbm(100.0, 0.08, 0.04, 0.25), payoff, expiry=0.5, steps=steps, sampling=sampling)
    assert abs(done.value.value - 9.0246) < MOST_Z * done.value.std_error + 5e-5


def test_heston_of_lewis() -> None:
    done = valued(lewis(), European(CALL, 100.0), steps=64, blocks=8)
    assert abs(z_of(done, 16.070154917028834)) < MOST_Z


def test_heston_of_fang_and_oosterlee() -> None:
    model = Heston(100.0, 0.0, 0.0, 0.0175, 1.5768, 0.0398, 0.5751, -0.5711)
    done = valued(model, European(CALL, 100.0), steps=100, blocks=8)
    assert abs(z_of(done, 5.785155434)) < MOST_Z


@pytest.mark.parametrize("sampling", [PSEUDO, SOBOL], ids=lambda s: s.value)
def test_merton(sampling) -> None:
    exact = merton_series(100.0, 100.0, 0.08, 0.25, merton())
    assert exact == pytest.approx(5.95907773, abs=5e-9)
    done = valued(merton(), European(CALL, 100.0), expiry=0.25, sampling=sampling)
    assert abs(z_of(done, exact)) < MOST_Z


# (S, sigma, T) -> the exact Bermudan value of Longstaff and Schwartz's table, by quadrature.
TABLE = {
    (36.0, 0.2, 1.0): 4.477811,
    (36.0, 0.2, 2.0): 4.840226,
    (36.0, 0.4, 1.0): 7.101265,
    (36.0, 0.4, 2.0): 8.506783,
    (40.0, 0.2, 1.0): 2.314068,
    (40.0, 0.2, 2.0): 2.884559,
    (40.0, 0.4, 1.0): 5.311966,
    (40.0, 0.4, 2.0): 6.917071,
}


@pytest.mark.parametrize("case", TABLE, ids=str)
def test_the_table_of_longstaff_and_schwartz(case) -> None:
    spot, volatility, expiry = case
    dates = tuple(i / 50 for i in range(1, round(50 * expiry)))
    payoff = Exercise(PUT, 40.0, (*dates, expiry), upper_bound=False)
    done = valued(gbm(spot, 0.06, 0.0, volatility), payoff, expiry, steps=1)
    # A policy is never better than the best, and this one loses less than a thousandth.
    assert -MOST_Z * done.value.std_error - 0.001 < done.value.value - TABLE[case] < MOST_Z * done.value.std_error
    assert done.value.std_error < 0.003


def test_the_dual_bound_closes_the_interval_from_above() -> None:
    payoff = Exercise(PUT, 40.0, (*(i / 10 for i in range(1, 10)), 1.0), upper_bound=True)
    done = valued(gbm(36.0, 0.06, 0.0, 0.2), payoff, steps=1, blocks=4)
    upper = done.upper_bound
    assert upper is not None
    assert done.value.value - 3 * done.value.std_error < upper.value + 3 * upper.std_error
    assert 0 < upper.std_error < 0.03
    assert abs(upper.value - done.value.value) < 0.06


def test_an_american_option_is_worth_at_least_the_european() -> None:
    dates = (*(i / 20 for i in range(1, 20)), 1.0)
    done = valued(gbm(40.0, 0.06, 0.0, 0.2), Exercise(PUT, 40.0, dates, upper_bound=False))
    assert done.value.value > black_scholes(PUT, 40.0, 40.0, 0.06, 0.0, 0.2, 1.0)


def test_the_expected_shortfall_of_the_normal_law() -> None:
    """97.5 %: 2.3378027922 standard deviations. For small ones, log returns are returns."""
    sigma = 1e-4
    noise = KINDS["local_level"](obs_var=sigma**2, level_var=0.0, initial=Known([0.0], [[0.0]]))
    model = StateSpace(noise, np.array([0.0]), (1.0,), returns=True)
    done = run(Problem(model, Portfolio((1.0,), (0.975,)), 1.0, 1, 7), blocks=16)
    var, es = done.risks()[0.975]
    assert es.value / sigma == pytest.approx(2.3378027922, abs=4 * es.std_error / sigma + 1e-3)
    assert var.value / sigma == pytest.approx(1.959963985, abs=4 * var.std_error / sigma + 1e-3)
    assert es.std_error / sigma < 0.02


def test_the_value_at_risk_of_a_lognormal_price() -> None:
    horizon, volatility = 0.25, 0.3
    model = gbm(100.0, 0.05, 0.0, volatility)
    done = run(Problem(model, Portfolio((1.0,), (0.95, 0.99)), horizon, 1, 7), blocks=16)
    for level, z in ((0.95, 1.6448536269514722), (0.99, 2.3263478740408408)):
        drift = (0.05 - volatility**2 / 2) * horizon
        exact = -math.expm1(drift - z * volatility * math.sqrt(horizon))
        var, _ = done.risks()[level]
        assert abs(var.value - exact) < MOST_Z * var.std_error
