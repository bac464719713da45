"""Where float64 goes on after a head in multi-precision, the whole is what multi-precision alone would answer."""

import numpy as np
import pytest

from luna_serving.engines.statespace.batch import smooth_batch
from luna_serving.engines.statespace.kinds import KINDS
from luna_serving.engines.statespace.multiprecision import plan

WAVES = {"obs_var": 9.0, "level": {"var": 1.0}, "freq_seasonal": [{"period": 365.25, "harmonics": 2}]}
# Found by random requests: states that observations determine exactly keep a variance of 1e-148 in 512 bits, which
# was divided by where the smoother comes back to the head.
EXACT = {
    "order": [0, 0, 3],
    "var": 1730.0,
    "seasonal_order": [0, 1, 1, 4],
    "ma": [0.7, 0.8, 0.8],
    "seasonal_ma": [1.84],
}
UNIT = {
    "order": [2, 2, 1],
    "var": 1690.0,
    "seasonal_order": [1, 1, 0, 3],
    "ar": [0.0, -0.5],
    "ma": [-0.99999],
    "seasonal_ar": [-0.999],
}


@pytest.mark.parametrize(("kind", "fields"), [("structural", WAVES), ("arima", EXACT), ("arima", UNIT)])
@pytest.mark.parametrize("gaps", [False, True], ids=["whole", "gaps"])
def test_a_head_and_its_tail_are_one_answer(kind, fields, gaps):
    rng = np.random.default_rng(3)
    y = rng.normal(size=320).cumsum() * 10
    if gaps:
        y[rng.random(320) < 0.1] = np.nan
    model = KINDS[kind](**fields)
    (result,) = smooth_batch([(y, model)]).series
    (exact,) = plan.results([(y, model)], smooth=True)
    assert abs(result.full.loglike - exact.full.loglike) <= 1e-8 * abs(exact.full.loglike)
    usual = np.median(np.diagonal(exact.full.predicted_state_cov, axis1=1, axis2=2), axis=0)
    usual = np.maximum(usual, np.diagonal(model.disturbance_cov).max())
    known = ~exact.smoothed.smoothed_state_diffuse
    for ours, theirs, cov in (
        (result.filtered_state, exact.filtered_state, exact.full.filtered_state_cov),
        (result.smoothed.smoothed_state, exact.smoothed.smoothed_state, exact.smoothed.smoothed_state_cov),
    ):
        scale = np.sqrt(np.diagonal(cov, axis1=1, axis2=2)) + 1e-5 * np.abs(theirs) + 1e-5 * np.sqrt(usual)
        assert (np.abs(ours - theirs) <= 1e-8 * scale)[known].all()
    ours, theirs = (np.diagonal(each.smoothed.smoothed_state_cov, axis1=1, axis2=2) for each in (result, exact))
    assert (np.abs(ours - theirs) <= 1e-8 * theirs + 1e-14 * usual)[known].all()


def test_the_waves_do_go_on_in_float64():
    """Else this file would compare multi-precision with itself."""
    y = np.random.default_rng(3).normal(size=320).cumsum()
    model = KINDS["structural"](**WAVES)
    went_on: list[int] = []

    def go_on(rest, starts):
        went_on.append(len(rest[0][0]))
        return smooth_batch(rest, starts=starts).series

    plan.results([(y, model)], smooth=True, go_on=go_on)
    assert went_on
    assert 64 <= went_on[0] < 320
