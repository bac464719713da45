"""A live replica never compiles: every shape that a request can ask for is compiled by the warm-up."""

import threading

import jax
import numpy as np
import pytest

from luna_serving.engines.statespace.batch import VARIANTS, filter_batch, forecast_batch, smooth_batch
from luna_serving.engines.statespace.kinds import constant_acceleration, constant_velocity, local_level, structural
from luna_serving.engines.statespace.process.jax_process import Float64RequiredError
from luna_serving.engines.statespace.warm_up import compiled_shapes, warm_up, warm_up_plans

MODELS = {
    2: [local_level(obs_var=1.0, level_var=0.5), constant_velocity(dt=1.0, obs_var=1.0, accel_var=0.1)],
    # 14 states of a season of 13, 3 of a track that is not sampled evenly, and coefficients.
    64: [
        structural(obs_var=1.0, level={"var": 0.1}, seasonal={"period": 14, "var": 0.1}),
        constant_acceleration(dt=[1.0, 2.0] * 3000, obs_var=1.0, accel_var=0.1),
        structural(obs_var=1.0, level={}, regression={"regressors": np.ones((6001, 2)) * [[1, 2]]}),
    ],
}


@pytest.mark.parametrize("states", [2, pytest.param(64, marks=pytest.mark.slow)])
def test_after_the_warm_up_two_hundred_random_batches_compile_nothing(compilations, states):
    """Of models of two states; all that there is takes minutes."""
    jax.clear_caches()
    reported: list[tuple[int, int]] = []
    warm_up(lambda done, total, shape, seconds: reported.append((done, total)), states=states)
    warm_up_plans(states)
    count = len([shape for shape in compiled_shapes() if shape.kind.states <= states])
    assert len(compilations) >= count, "the counter must see the compilations it looks for"
    assert reported == [(done, count) for done in range(1, count + 1)]
    compilations.clear()
    rng = np.random.default_rng(0)
    models = [model for most, some in MODELS.items() if most <= states for model in some]
    for _ in range(200):
        count = int(rng.choice([1, 2, 31, 32, 33, 100, 300]))
        longest = int(rng.choice([1, 10, 256, 257, 2048, 5000])) if count < 50 else 60
        items = [(np.ones(rng.integers(0, longest + 1)), models[rng.integers(len(models))]) for _ in range(count)]
        loglike = "kfas" if rng.random() < 0.5 else "full"
        match rng.integers(4):
            case 0:
                smooth_batch(items, loglike=loglike)
            case 1:
                forecast_batch(items, rng.integers(0, 50, count).tolist(), loglike=loglike)
            case _:
                filter_batch(items, VARIANTS[rng.integers(2)], loglike=loglike)
    assert compilations == []


def test_a_variant_of_another_string_type_compiles_nothing(compilations):
    item = (np.ones(5), local_level(obs_var=1.0, level_var=0.5))
    filter_batch([item], "means")
    compilations.clear()
    filter_batch([item], np.str_("means"))
    assert compilations == []


def test_another_thread_uses_what_was_compiled(compilations):
    item = (np.ones(5), local_level(obs_var=1.0, level_var=0.5))
    filter_batch([item], "means")
    compilations.clear()
    answers: list[float] = []
    thread = threading.Thread(
        target=lambda: answers.append(filter_batch([item], "means").series[0].filtered_state[-1, 0])
    )
    thread.start()
    thread.join()
    assert answers == [1.0]
    assert compilations == []


def test_the_report_says_what_was_run():
    items = [(np.ones(300), local_level(obs_var=1.0, level_var=0.5))] * 3
    report = filter_batch(items, "means").report
    assert (report.algorithm, report.precision, report.device) == ("per_series", "float64", "cpu")
    assert report.batch_shape == (32, 2048)
    assert report.warnings == ()


def test_float32_is_refused():
    with jax.enable_x64(False), pytest.raises(Float64RequiredError, match="configure_jax"):
        filter_batch([(np.ones(3), local_level(obs_var=1.0, level_var=0.5))], "means")
