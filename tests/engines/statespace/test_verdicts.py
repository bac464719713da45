"""Whether float64 has enough digits is asked without computing the answers that need more."""

import sys

import numpy as np
import pytest

from luna_serving.engines.statespace.kinds import local_linear_trend
from luna_serving.engines.statespace.model.initial import Known
from luna_serving.engines.statespace.model.memo import once_per_model
from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.multiprecision import plan
from luna_serving.engines.statespace.process.jax_process import configure_jax
from luna_serving.engines.statespace.soundness.checked import Work, lacks_digits, run, unsound

configure_jax()
SOUND = local_linear_trend(obs_var=1.0, level_var=0.5, trend_var=0.1)
# Two states that differ by 1e-14 of their common variance.
NEARLY_ALIKE = Model(
    transition=np.eye(2),
    design=np.array([[1.0, -1.0]]),
    obs_cov=np.array([[1e-14]]),
    state_cov=np.zeros((2, 2)),
    initial=Known([0.0, 0.0], [[1e8, 1e8 * (1 - 1e-15)], [1e8 * (1 - 1e-15), 1e8]]),
)


def test_a_verdict_is_that_of_the_full_run() -> None:
    y = np.sin(np.arange(40.0))
    items = [(y, SOUND), (y, NEARLY_ALIKE), (y[:9], SOUND)]
    for smooth in (False, True):
        expected = run(items, None, Work(smooth=smooth)).unsound
        assert unsound(items, Work(smooth=smooth)) == expected
        assert expected == [(1,)]


def test_a_verdict_computes_nothing_in_multi_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("multi-precision")

    monkeypatch.setattr(plan, "results", refuse)
    y = np.cos(np.arange(30.0))
    assert lacks_digits([(y, NEARLY_ALIKE)], Work())
    assert unsound([(y, NEARLY_ALIKE)], Work(smooth=True)) == [(0,)]
    with pytest.raises(AssertionError, match="multi-precision"):
        run([(y, NEARLY_ALIKE)], None, Work())
    assert "luna_serving.engines.statespace.multiprecision.plan" in sys.modules


def test_a_value_is_worked_out_once_per_model_however_its_arguments_are_given() -> None:
    calls = []

    @once_per_model
    def worked_out(model: Model, power: int = 1, *, half: bool = False) -> float:
        calls.append((model, power, half))
        return float(model.states**power) / (2 if half else 1)

    assert worked_out(SOUND) == worked_out(SOUND, 1) == worked_out(SOUND, power=1, half=False) == 2.0
    assert len(calls) == 1
    assert worked_out(SOUND, 2, half=True) == 2.0
    assert worked_out(NEARLY_ALIKE) == 2.0
    assert len(calls) == 3
