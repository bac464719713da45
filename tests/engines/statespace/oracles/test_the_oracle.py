"""The exact oracle against published numbers, against float64 conditioning, and against ever larger priors."""

from dataclasses import replace

import flint
import numpy as np
import pytest
from tests.engines.statespace import oracle

from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec

from .cases import Case, Words
from .conditioning import Joint, to_float
from .draw_models import DRAWS, case_of
from .expected import Expected
from .judge import distance
from .matrices import Number, precisely, stacked
from .system import System
from .wire_models import system_of

NILE: Words = {"kind": "local_level", "obs_var": 15099.0, "level_var": 1469.1}
KNOWN: Words = {"kind": "known", "mean": [0.0], "cov": [[1e7]], "timing": "predicted"}


def joint(model: Words, y: np.ndarray, ahead: int = 0) -> Joint:
    with precisely():
        return Joint(system_of(model), y, ahead)


def test_the_nile_is_as_published(nile: np.ndarray) -> None:
    case = Case("nile", 0, NILE, nile.tolist(), 30)
    exact = Expected(case, system_of(NILE)).answers()
    assert float(exact["loglike"].value) == pytest.approx(-633.4645636489, rel=1e-12)
    assert exact["filtered_state"].value[-1, 0] == pytest.approx(798.370293, abs=1e-6)
    assert exact["filtered_state_cov"].value[-1, 0, 0] == pytest.approx(4032.157942, abs=1e-6)
    assert exact["smoothed_state"].value[[0, 49], 0] == pytest.approx([1111.668319, 834.763259], abs=1e-6)
    assert exact["smoothed_state_cov"].value[49, 0, 0] == pytest.approx(2326.756870, abs=1e-6)
    assert exact["variance"].value[[0, 1, 29]] == pytest.approx([20600.2579, 22069.3579, 63204.1579], abs=1e-4)
    known = joint({**NILE, "initial": KNOWN}, nile)
    assert known.loglike() == pytest.approx(-641.5855784594, rel=1e-12)


# A trend's periods are known from a request only.
@pytest.mark.parametrize("kind", sorted(set(DRAWS) - {"explained", "mixed"}))
def test_models_built_from_words_are_the_engines_own_to_float64(kind: str) -> None:
    for seed in range(30):
        words = case_of(kind, seed).model
        built = ModelSpec.of(words["kind"], {name: x for name, x in words.items() if name != "kind"}).build()
        system = system_of(words)
        for ours, theirs in (
            (system.transition, built.transition),
            (system.design, built.design),
            (system.noise, built.disturbance_cov),
        ):
            rows = np.array(stacked(ours).tolist(), dtype=np.float64)
            np.testing.assert_allclose(rows, theirs.reshape(rows.shape), rtol=1e-12, atol=1e-15)


def test_it_agrees_with_conditioning_in_float64_where_that_has_digits() -> None:
    words: Words = {"kind": "structural", "obs_var": 2.0, "level": {"var": 1.0}, "trend": {}, "seasonal": {"period": 4}}
    y = np.array([1.0, 3.0, np.nan, 2.0, 5.0, np.nan, 4.0, 7.0, 6.0, 8.0])
    model = ModelSpec.of("structural", {name: x for name, x in words.items() if name != "kind"}).build()
    exact, rough = joint(words, y), oracle.Joint(model, y)
    assert exact.loglike() == pytest.approx(rough.loglike(), rel=1e-10)
    with precisely():
        moments = [to_float(each) for each in exact.states([(t, len(y)) for t in range(len(y))])]
    for t, (mean, cov, _) in enumerate(moments):
        belief = rough.state(t, len(y))
        np.testing.assert_allclose(mean, belief.mean, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(cov, belief.cov, rtol=1e-8, atol=1e-9)


def test_the_diffuse_start_is_the_limit_of_ever_larger_variances() -> None:
    y = np.array([101.0, 98, np.nan, 103, 107, 99, 104, 108, np.nan, 111, 106])
    words: Words = {
        "kind": "structural",
        "obs_var": 9,
        "level": {"var": 1},
        "freq_seasonal": [{"period": 365.25, "harmonics": 2}],
    }
    diffuse = joint(words, y)
    with precisely():
        system = system_of({**words, "initial": {"kind": "approximate_diffuse", "variance": 1.0}})
        wide = Joint(system_with(system, flint.arb(10) ** 70), y)
        pairs = [(t, len(y)) for t in range(len(y))]
        for ours, theirs in zip(diffuse.states(pairs), wide.states(pairs), strict=True):
            for one, other in zip(to_float(ours)[:2], to_float(theirs)[:2], strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-25)
        shift = 5 / 2 * float((flint.arb(10) ** 70).log())
    assert wide.loglike() + shift == pytest.approx(diffuse.loglike(), rel=1e-12)


def system_with(system: System, variance: Number) -> System:
    """The system with a start so many times wider."""
    assert system.cov is not None
    return replace(system, cov=(system.cov * variance).mid())


def test_an_error_of_a_thousandth_of_a_deviation_is_seen() -> None:
    case = case_of("local", 3)
    exact = Expected(case, system_of(case.model)).answers()["smoothed_state"]
    moved = type(exact)(exact.value + 1e-3 * exact.scale, exact.scale, exact.judged, exact.null)
    assert distance(exact, moved) == pytest.approx(1e-3, rel=1e-6)
