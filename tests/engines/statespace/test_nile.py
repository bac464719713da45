"""The published numbers of the Nile (Durbin & Koopman 2012, section 2.2; KFAS; statsmodels)."""

import numpy as np
import pytest

from luna_serving.engines.statespace.batch import filter_batch
from luna_serving.engines.statespace.kinds import local_level
from luna_serving.engines.statespace.model.initial import Diffuse, Initial, Known

from .peer import statsmodels_filter


def nile_model(initial: Initial | None = None):
    return local_level(obs_var=15099.0, level_var=1469.1, initial=initial)


@pytest.mark.parametrize(
    ("initial", "convention", "expected"),
    [
        (Diffuse(), "full", -633.4645636489),
        (Diffuse(), "kfas", -632.5456251157),
        (Known([0.0], [[1e7]]), "full", -641.5855784594),
        (Known([0.0], [[1e7]]), "kfas", -641.5855784594),
    ],
)
def test_the_log_likelihood_is_the_published_one(nile, initial, convention, expected):
    (result,) = filter_batch([(nile, nile_model(initial))], "full", loglike=convention).series
    assert result.full.loglike == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("variant", ["means", "full"])
def test_the_last_filtered_level_is_the_published_one(nile, variant):
    (result,) = filter_batch([(nile, nile_model())], variant).series
    assert result.filtered_state[-1, 0] == pytest.approx(798.370293, abs=1e-6)
    assert result.filtered_signal[-1] == result.filtered_state[-1, 0]
    assert result.finite


def test_the_last_filtered_variance_is_the_published_one(nile):
    (result,) = filter_batch([(nile, nile_model())], "full").series
    assert result.full.filtered_state_cov[-1, 0, 0] == pytest.approx(4032.157942, abs=1e-6)


def test_one_diffuse_period_is_counted(nile):
    diffuse, known = filter_batch([(nile, nile_model()), (nile, nile_model(Known([0.0], [[1e7]])))], "full").series
    assert diffuse.full.nobs_diffuse == 1
    assert known.full.nobs_diffuse == 0


def test_the_one_step_forecast_after_the_series_is_the_published_one(nile):
    (result,) = filter_batch([(nile, nile_model())], "full").series
    forecast_var = result.full.predicted_state_cov[-1, 0, 0] + 15099.0
    assert forecast_var == pytest.approx(20600.2579, abs=1e-4)


def test_a_gap_of_twenty_years_is_bridged_as_statsmodels_does(nile):
    """Durbin & Koopman section 2.7 take out 1891-1910 and 1931-1950."""
    gappy = nile.copy()
    gappy[20:40] = np.nan
    gappy[60:80] = np.nan
    (result,) = filter_batch([(gappy, nile_model())], "full").series
    peer = statsmodels_filter(nile_model(), gappy)
    np.testing.assert_allclose(result.filtered_state.T, peer.filtered_state, rtol=1e-11)
    assert result.full.loglike == pytest.approx(peer.llf, rel=1e-12)
