"""Maximum likelihood against the published estimates and against statsmodels' own fits."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from statsmodels.tsa.statespace.mlemodel import MLEResults
from statsmodels.tsa.statespace.sarimax import SARIMAX
from statsmodels.tsa.statespace.structural import UnobservedComponents

from luna_serving.engines.statespace.fit.estimate import Task, fit_batch
from luna_serving.engines.statespace.fit.results import SeriesFit
from luna_serving.engines.statespace.fit.stop import Stop

from .cases import Case, autoregression, walk

LEVEL = {"obs_var": 1.0, "level_var": 0.1}
TREND = {"obs_var": 1.0, "level_var": 0.1, "trend_var": 0.1}


def fitted(case: Case, **changes) -> SeriesFit:
    (fit,) = fit_batch(case.task(**changes), [case.y], lambda: False)
    return fit


def level(y: np.ndarray) -> Case:
    return Case("local_level", LEVEL, ("obs_var", "level_var"), y)


def trend(y: np.ndarray) -> Case:
    return Case("local_linear_trend", TREND, ("obs_var", "level_var", "trend_var"), y)


def slopes(seed: int) -> np.ndarray:
    """A series whose slope walks too, so that none of the trend's variances is zero [T, 1]."""
    rng = np.random.default_rng(seed)
    slope = (0.4 * rng.normal(size=200)).cumsum()
    return ((slope + 3 * rng.normal(size=200)).cumsum() + 2 * rng.normal(size=200))[:, None]


def peer_fit(model) -> MLEResults:
    """To the last digits that a numerical gradient gives."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rough = model.fit(method="bfgs", maxiter=500, disp=False, cov_type="none")
        # Without gradients, which are numerical there and end a search early.
        options = {"method": "nm", "maxiter": 5000, "xtol": 1e-10, "ftol": 1e-14}
        return model.fit(rough.params, disp=False, cov_type="approx", **options)


def assert_same_fit(ours: SeriesFit, peer: MLEResults) -> None:
    assert ours.converged
    assert ours.loglike == pytest.approx(peer.llf, rel=1e-9)
    assert ours.loglike >= peer.llf - 1e-9
    assert ours.aic == pytest.approx(peer.aic, rel=1e-9)
    assert ours.bic == pytest.approx(peer.bic, rel=1e-9)
    np.testing.assert_allclose(list(ours.estimates.values()), peer.params, rtol=1e-5)
    np.testing.assert_allclose(list(ours.standard_errors.values()), peer.bse, rtol=1e-3)


def test_the_niles_estimates_are_the_published_ones(nile) -> None:
    fit = fitted(level(nile[:, None]))
    assert fit.estimates["obs_var"] == pytest.approx(15098.518, abs=2e-3)
    assert fit.estimates["level_var"] == pytest.approx(1469.176, abs=2e-3)
    assert fit.loglike == pytest.approx(-633.46456364, abs=1e-8)
    assert fit.agreed == fit.starts == 3


def test_a_gappy_trend_is_fitted_as_by_statsmodels() -> None:
    y = slopes(1)
    y[20:35] = np.nan
    peer = peer_fit(UnobservedComponents(y[:, 0], "lltrend", use_exact_diffuse=True))
    assert_same_fit(fitted(trend(y)), peer)


def test_an_autoregression_is_fitted_as_by_statsmodels() -> None:
    y = autoregression(2, 200)
    case = Case("arima", {"order": [2, 0, 0], "ar": [0.0, 0.0], "var": 1.0}, ("ar", "var"), y)
    assert_same_fit(fitted(case), peer_fit(SARIMAX(y[:, 0], order=(2, 0, 0))))


def test_the_kfas_convention_drops_a_constant_for_each_diffuse_state(nile) -> None:
    full, kfas = (fitted(trend(nile[:, None]), loglike=name, starts=1) for name in ("full", "kfas"))
    assert kfas.loglike - full.loglike == pytest.approx(np.log(2 * np.pi))


def test_many_series_in_one_call_are_fitted_as_each_alone() -> None:
    case = level(walk(0, 1))
    series = [walk(seed, 40 + seed % 7, gaps=0.1) for seed in range(50)]
    together = fit_batch(case.task(), series, lambda: False)
    for y, fit in zip(series, together, strict=True):
        (alone,) = fit_batch(case.task(), [y], lambda: False)
        assert fit.loglike == pytest.approx(alone.loglike, rel=1e-11)
        assert fit.at_bound == alone.at_bound
        assert fit.why_stopped == alone.why_stopped
        np.testing.assert_allclose(list(fit.estimates.values()), list(alone.estimates.values()), rtol=1e-6)


def test_a_variance_that_is_best_zero_is_zero_and_has_no_error(nile) -> None:
    fit = fitted(trend(nile[:, None]))
    assert fit.estimates["trend_var"] == 0
    assert fit.at_bound == ("trend_var",)
    assert fit.standard_errors["trend_var"] is None
    assert fit.converged
    held = fitted(Case("local_linear_trend", {**TREND, "trend_var": 0.0}, ("obs_var", "level_var"), nile[:, None]))
    assert fit.loglike == pytest.approx(held.loglike, abs=1e-9)
    for name, value in held.estimates.items():
        assert fit.estimates[name] == pytest.approx(value, rel=1e-5)
        assert fit.standard_errors[name] == pytest.approx(held.standard_errors[name], rel=1e-4)


def test_what_is_not_free_stays_as_it_is(nile) -> None:
    fit = fitted(Case("local_level", {"obs_var": 15099.0, "level_var": 1.0}, ("level_var",), nile[:, None]))
    assert fit.fields["obs_var"] == 15099.0
    assert list(fit.estimates) == ["level_var"]
    assert fit.estimates["level_var"] == pytest.approx(1469.1, rel=1e-3)


def test_the_unit_of_the_series_changes_nothing_but_the_unit(nile) -> None:
    fit, small = (fitted(level(unit * nile[:, None])) for unit in (1.0, 1e-6))
    assert small.estimates["level_var"] == pytest.approx(1e-12 * fit.estimates["level_var"], rel=1e-6)


def test_a_series_in_a_small_unit_is_fitted_the_same_beside_one_in_a_large(nile) -> None:
    case, tiny = level(nile[:, None]), 1e-9 * nile[:, None]
    _, beside = fit_batch(case.task(), [nile[:, None], tiny], lambda: False)
    (alone,) = fit_batch(case.task(), [tiny], lambda: False)
    assert beside.estimates["level_var"] == pytest.approx(alone.estimates["level_var"], rel=1e-6)
    assert beside.estimates["obs_var"] == pytest.approx(1e-18 * 15098.518, rel=1e-6)


def test_a_constant_series_has_no_maximum_and_no_estimates() -> None:
    fit = fitted(level(np.full((50, 1), 3.0)))
    assert fit.why_stopped == Stop.NO_MAXIMUM
    assert not fit.converged
    assert fit.estimates == {"obs_var": None, "level_var": None}
    assert fit.fields is None


def test_too_few_observations_are_said_and_stop_no_neighbour() -> None:
    short, fit = fit_batch(level(walk(0, 1)).task(), [np.array([[1.0], [np.nan], [2.0]]), walk(1, 50)], lambda: False)
    assert short.why_stopped == Stop.TOO_FEW_OBSERVATIONS
    assert short.loglike is None
    assert fit.converged


@pytest.mark.parametrize("unit", [1e-150, 1e150])
def test_numbers_past_any_variance_stop_no_neighbour(unit: float) -> None:
    beyond, fit = fit_batch(level(walk(0, 1)).task(), [unit * walk(1, 20), walk(1, 50)], lambda: False)
    assert beyond.why_stopped == Stop.NOT_FINITE
    assert beyond.estimates == {"obs_var": None, "level_var": None}
    assert fit.converged


def test_a_parameter_that_the_series_does_not_tell_has_no_standard_error() -> None:
    """Two sources of the same noise: only their sum is told."""
    y = np.random.default_rng(9).normal(size=(80, 1))
    fields = {"obs_cov": 1.0, "state_cov": 1.0, "transition": 0.0, "design": 1.0}
    case = Case("state_space", fields, ("obs_cov", "state_cov"), y)
    case = replace(case, fields={**fields, "obs_cov": [[0.6]], "state_cov": [[0.6]]})
    fit = fitted(case, starts=1)
    assert sum(fit.estimates.values()) == pytest.approx(np.mean(y[1:] ** 2), rel=0.1)
    assert set(fit.standard_errors.values()) == {None}


def test_a_deadline_leaves_the_best_so_far(nile) -> None:
    looks = iter(range(10_000))
    (fit,) = fit_batch(level(nile[:, None]).task(), [nile[:, None]], lambda: next(looks) > 12)
    assert fit.why_stopped == Stop.DEADLINE
    assert not fit.converged
    assert fit.evaluations > 0
    assert fit.loglike is not None
    assert fit.fields is not None
    assert set(fit.standard_errors.values()) == {None}


def test_a_deadline_that_is_over_leaves_nothing_but_the_reason(nile) -> None:
    (fit,) = fit_batch(level(nile[:, None]).task(), [nile[:, None]], lambda: True)
    assert fit.why_stopped == Stop.DEADLINE
    assert fit.loglike is None


def test_starts_are_the_same_in_every_call(nile) -> None:
    task: Task = level(nile[:, None]).task(starts=6)
    first, second = (fit_batch(task, [nile[:, None]], lambda: False)[0] for _ in range(2))
    assert first == second
    assert first.starts == 6
