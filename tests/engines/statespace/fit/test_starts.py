"""Likelihoods with several maxima, saddles and ridges: where the searches of the default number of starts end."""

import numpy as np
import pytest
from statsmodels.tsa.statespace.sarimax import SARIMAX

from luna_serving.engines.statespace.fit.estimate import fit_batch
from luna_serving.engines.statespace.fit.results import SeriesFit
from luna_serving.engines.statespace.model.initial import Stationary

from .cases import Case

# Sums of whole numbers between 100 and 200, as in statsmodels#6396; the log-likelihood is the best of 40 searches of
# statsmodels 0.15 from random starts on the differences.
SHORT = {
    "(0,1,2)": (
        (0, 1, 2),
        False,
        "194 306 478 588 698 857 980 1090 1273 1444 1639 1783 1952 2119 2221 2377 2511 2700 2881 3063",
        -108.6169,
    ),
    "(1,1,1) with drift": (
        (1, 1, 1),
        True,
        "157 281 449 638 830 1024 1145 1336 1497 1649 1794 1925 2115 2226 2352 2526 2651",
        -76.1203,
    ),
    "(2,1,2) with drift": (
        (2, 1, 2),
        True,
        "177 375 522 672 773 875 1037 1192 1316 1451 1627 1751 1892 2036 2213 2373 2511 2611 2749 2852",
        -86.6858,
    ),
}


def fitted(case: Case, **changes) -> SeriesFit:
    (fit,) = fit_batch(case.task(**changes), [case.y], lambda: False)
    return fit


def short(name: str) -> Case:
    (p, d, q), drift, numbers, _ = SHORT[name]
    fields = {"order": [p, d, q], "ar": [0.0] * p, "ma": [0.0] * q, "var": 1.0, "intercept": 0.0}
    free = [name for name, count in (("ar", p), ("ma", q), ("intercept", drift), ("var", True)) if count]
    return Case("arima", fields, tuple(free), np.array(numbers.split(), dtype=float)[:, None])


@pytest.mark.parametrize("name", SHORT)
def test_three_starts_find_what_forty_of_statsmodels_do(name: str) -> None:
    fit, (order, drift, _, best) = fitted(case := short(name), loglike="kfas"), SHORT[name]
    assert fit.converged
    assert fit.loglike >= best - 1e-4
    # That the likelihood there is what is claimed, statsmodels says itself.
    estimates = dict(fit.estimates)
    first = [estimates.pop("intercept")] if drift else []
    lags = [value for key, value in estimates.items() if key.startswith("ar.")]
    lags += [value for key, value in estimates.items() if key.startswith("ma.")]
    peer = SARIMAX(case.y[:, 0], order=order, trend="c" if drift else "n", simple_differencing=True)
    assert peer.loglike([*first, *lags, estimates["var"]]) == pytest.approx(fit.loglike, abs=1e-6)


def test_searches_that_end_elsewhere_do_not_count_as_agreed() -> None:
    """Wide searches reach the maximum that the search from the caller's values alone does not."""
    alone, wide = (fitted(short("(2,1,2) with drift"), starts=starts) for starts in (1, 3))
    assert wide.loglike > alone.loglike + 1e-2
    assert wide.agreed < wide.starts == 3


def test_a_ridge_to_a_unit_root_is_left_in_few_evaluations() -> None:
    """Steps about 160 without a drift: AR goes to 1 and MA to -1, which once took 3,000 evaluations."""
    numbers = (
        "199 389 568 713 881 1033 1166 1314 1430 1619 1805 1961 2107 "
        "2235 2414 2581 2746 2909 3032 3186 3339 3528 3722 3896 4022"
    )
    fields = {"order": [1, 1, 1], "ar": [0.0], "ma": [0.0], "var": 1.0}
    fit = fitted(Case("arima", fields, ("ar", "ma", "var"), np.array(numbers.split(), dtype=float)[:, None]))
    assert fit.converged
    assert fit.agreed == 3
    assert "ar.0" in fit.at_bound
    assert fit.evaluations < 800


def test_a_search_that_begins_on_a_saddle_leaves_it() -> None:
    """Of a design of zero the likelihood is symmetric: its derivative is zero whatever the other parameters are."""
    rng = np.random.default_rng(5)
    state = np.zeros(120)
    for t in range(1, 120):
        state[t] = 0.9 * state[t - 1] + rng.normal()
    fields = {"transition": [[0.9]], "design": [[0.0]], "obs_cov": [[1.0]], "state_cov": [[1.0]]}
    y = (2 * state + rng.normal(size=120))[:, None]
    saddle = fitted(Case("state_space", fields, ("design", "obs_cov"), y, Stationary()), starts=1)
    fields = {**fields, "design": [[1.0]]}
    beside = fitted(Case("state_space", fields, ("design", "obs_cov"), y, Stationary()), starts=1)
    assert saddle.converged
    assert saddle.agreed == 1
    assert saddle.loglike == pytest.approx(beside.loglike, abs=1e-6)
    assert abs(saddle.estimates["design.0.0"]) == pytest.approx(beside.estimates["design.0.0"], rel=1e-4)
