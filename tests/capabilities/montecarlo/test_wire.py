"""Bodies: what is refused, by which pointer; what the plan says; what it costs."""

import json
import math
from typing import Any

import numpy as np
import pytest

from luna_serving.capabilities.montecarlo.routes import extended
from luna_serving.capabilities.montecarlo.wire.answers import plan_of
from luna_serving.capabilities.montecarlo.wire.requests import parse, read
from luna_serving.capabilities.montecarlo.wire.work import MonteCarloWork
from luna_serving.engines.finance.montecarlo.api.description import Problem as EngineProblem
from luna_serving.wire.problems import Problem

GBM = {"kind": "gbm", "spot": 100, "rate": 0.05, "volatility": 0.2}
CALL = {"kind": "european", "type": "call", "strike": 100}
HESTON = {"kind": "heston", "spot": 100, "v0": 0.04, "kappa": 2, "theta": 0.04, "sigma": 0.5, "rho": -0.7}
BODY = {"model": GBM, "payoff": CALL, "expiry": 1, "seed": 7}
ASSETS = [{"spot": 100, "volatility": 0.2}] * 3
NOT_PSD = [[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]]
SKEW = [[1, 0.1, 0], [0, 1, 0], [0, 0, 1]]
BASKET = {"kind": "basket", "assets": ASSETS, "correlation": np.eye(3).tolist()}
BOOTSTRAP = {"kind": "bootstrap", "returns": [0.01, -0.02, 0.03]}
PORTFOLIO = {"kind": "portfolio", "weights": [1.0], "horizon": 10}
LEVEL = {"kind": "local_level", "obs_var": 1e-4, "level_var": 1e-6}


def body(**changes: Any) -> bytes:
    return json.dumps(BODY | changes).encode()


def with_model(**changes: Any) -> bytes:
    return body(model=GBM | changes)


REFUSED: dict[str, tuple[bytes, str]] = {
    "a negative volatility": (with_model(volatility=-0.2), "/model/volatility"),
    "a spot of nothing": (with_model(spot=0), "/model/spot"),
    "NaN": (body(expiry=math.nan), "/expiry"),
    "infinity": (b'{"model": {"kind": "gbm", "spot": 1e999}}', "/model/spot"),
    "a number in quotes": (with_model(spot="100"), "/model/spot"),
    "a billion paths": (body(paths=10**9), "/paths"),
    "no path": (body(paths=0), "/paths"),
    "too many path-steps": (body(paths=10**8, steps=101), "/paths"),
    "an unknown member": (body(path=3), "/path"),
    "an unknown member of the model": (with_model(vol=0.2), "/model/vol"),
    "an unknown model": (body(model={"kind": "sabr"}), "/model"),
    "an unknown payoff": (body(payoff={"kind": "cliquet"}), "/payoff"),
    "no expiry": (json.dumps({"model": GBM, "payoff": CALL}).encode(), "/expiry"),
    "an expiry of a thousand years and more": (body(expiry=1001), "/expiry"),
    "a correlation beyond one": (body(model=BASKET | {"correlation": [[1, 2, 0]] * 3}), "/model/correlation/0/1"),
    "rows of a correlation": (body(model=BASKET | {"correlation": [[1, 0, 0]] * 2}), "/model/correlation"),
    "a row of a correlation": (body(model=BASKET | {"correlation": [[1, 0], [0, 1], [0, 0]]}), "/model/correlation/0"),
    "a diagonal": (body(model=BASKET | {"correlation": [[0.5, 0, 0], [0, 1, 0], [0, 0, 1]]}), "/model/correlation/0/0"),
    "an asymmetry": (
        body(model=BASKET | {"correlation": [[1, 0.1, 0], [0, 1, 0], [0, 0, 1]]}),
        "/model/correlation/1/0",
    ),
    "not semi-definite": (body(model=BASKET | {"correlation": NOT_PSD}), "/model/correlation"),
    "one payoff of three assets": (body(model=BASKET), "/payoff/kind"),
    "weights": (
        body(model=BASKET, payoff={"kind": "basket", "type": "call", "strike": 1, "weights": [1]}),
        "/payoff/weights",
    ),
    "a spread of one asset": (body(payoff={"kind": "spread"}), "/payoff/kind"),
    "a barrier that is hit": (
        body(payoff=CALL | {"kind": "barrier", "barrier": 110, "direction": "down", "knock": "out"}),
        "/payoff/barrier",
    ),
    "an upper barrier that is hit": (
        body(payoff=CALL | {"kind": "barrier", "barrier": 100, "direction": "up", "knock": "in"}),
        "/payoff/barrier",
    ),
    "a barrier of past returns": (
        body(
            model=BOOTSTRAP,
            payoff=CALL | {"kind": "barrier", "barrier": 110, "direction": "up", "knock": "out"},
            expiry=3,
        ),
        "/payoff/kind",
    ),
    "fixings beyond expiry": (body(payoff=CALL | {"kind": "asian", "fixings": [0.5, 1.5]}), "/payoff/fixings/1"),
    "fixings that go back": (body(payoff=CALL | {"kind": "asian", "fixings": [0.5, 0.4]}), "/payoff/fixings/1"),
    "no fixings": (body(payoff=CALL | {"kind": "asian", "fixings": 0}), "/payoff/fixings"),
    "exercise beyond expiry": (
        body(payoff=CALL | {"kind": "bermudan", "exercise_dates": [0.5, 2]}),
        "/payoff/exercise_dates/1",
    ),
    "a net for exercise": (body(payoff=CALL | {"kind": "american"}, sampling="sobol"), "/sampling"),
    "a net of too many dimensions": (body(model=HESTON, steps=3000, sampling="sobol"), "/sampling"),
    "another expiry than the horizon": (body(payoff=PORTFOLIO), "/expiry"),
    "a level below a half": (
        json.dumps({"model": GBM, "payoff": PORTFOLIO | {"levels": [0.05]}}).encode(),
        "/payoff/levels/0",
    ),
    "half a period": (body(model=BOOTSTRAP, expiry=2.5), "/expiry"),
    "steps of a bootstrap": (body(model=BOOTSTRAP, expiry=2, steps=5), "/steps"),
    "a total loss": (body(model=BOOTSTRAP | {"returns": [0.1, -1.0]}, expiry=2), "/model/returns/1"),
    "ragged returns": (body(model=BOOTSTRAP | {"returns": [[0.1], [0.1, 0.2]]}, expiry=2), "/model/returns/1"),
    "a block longer than the past": (body(model=BOOTSTRAP | {"block": 4}, expiry=2), "/model/block"),
    "no returns": (body(model={"kind": "bootstrap"}, expiry=2), "/model/returns"),
    "a state-space model that is none": (
        body(model={"kind": "state_space", "model": {"kind": "nile"}}, expiry=2),
        "/model/model/kind",
    ),
    "a state-space field out of range": (
        body(model={"kind": "state_space", "model": LEVEL | {"obs_var": -1.0}}, expiry=2),
        "/model/model/obs_var",
    ),
    "a diffuse start": (body(model={"kind": "state_space", "model": LEVEL}, expiry=2), "/model/initial_state"),
    "a standard error of nothing": (body(stop={"std_error": 0}), "/stop/std_error"),
    "a seed beyond what JSON carries": (body(seed=2**53), "/seed"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_refused_where_it_is(name: str) -> None:
    sent, pointer = REFUSED[name]
    with pytest.raises(Problem) as refused:
        parse(read(sent))
    assert refused.value.status == 422
    pointers = [error["pointer"] for error in refused.value.extra["errors"]]
    assert pointers[0].startswith(pointer), pointers


def test_a_correlation_that_is_none_is_answered_with_the_nearest() -> None:
    with pytest.raises(Problem) as refused:
        parse(read(body(model=BASKET | {"correlation": NOT_PSD})))
    near = refused.value.extra["nearest"]
    assert np.linalg.eigvalsh(near)[0] > -1e-9
    payoff = {"kind": "best_of", "type": "call", "strike": 100}
    parse(read(body(model=BASKET | {"correlation": near}, payoff=payoff)))


def problem(**changes: Any) -> EngineProblem:
    return parse(read(body(**changes))).problem


def test_the_cost_is_a_unit_for_each_million_path_steps() -> None:
    for paths, steps, units in ((1, 1, 1), (10**6, 1, 1), (10**6 + 1, 1, 2), (10**6, 7, 7), (10**8, 100, 10**4)):
        assert MonteCarloWork(parse(read(body(paths=paths, steps=steps)))).units == units


def test_steps_by_default_are_as_few_as_are_exact() -> None:
    assert len(problem().times) == 1
    assert len(problem(model=HESTON).times) == 100
    assert len(problem(payoff=CALL | {"kind": "american"}).times) == 50
    assert problem(payoff=CALL | {"kind": "asian", "fixings": 4}).times == (0.25, 0.5, 0.75, 1.0)
    assert problem(payoff=CALL | {"kind": "bermudan", "exercise_dates": [0.3]}).times == (0.3, 1.0)
    assert problem(payoff=CALL | {"kind": "asian", "fixings": [0.5, 1]}, steps=4).times == (0.25, 0.5, 0.75, 1.0)
    assert problem(model=BOOTSTRAP, expiry=3).times == (1.0, 2.0, 3.0)


def test_nets_are_the_default_where_they_help() -> None:
    assert plan_of(parse(read(body())))["sampling"] == "sobol"
    assert plan_of(parse(read(body())))["scrambles"] == 16
    american = plan_of(parse(read(body(payoff=CALL | {"kind": "american"}))))
    assert (american["sampling"], american["scrambles"], american["antithetic"]) == ("pseudo", None, True)
    assert plan_of(parse(read(body(model=HESTON, steps=200))))["sampling"] == "pseudo"


def test_a_seed_is_drawn_and_told() -> None:
    asked = parse({name: value for name, value in BODY.items() if name != "seed"}, lambda: 99)
    assert plan_of(asked)["seed"] == 99
    assert json.loads(asked.parameters)["seed"] == 99


def test_an_extension_counts_from_what_was_asked_or_where_it_stopped() -> None:
    asked = parse(read(body(paths=100_000, stop={"std_error": 0.1})))
    end = {"paths": 114_688, "plan": plan_of(asked)}
    for stopped, paths in (("paths", 150_000), ("std_error", 164_688)):
        plan = extended(asked.parameters, json.dumps(end | {"stopped": stopped}).encode(), 50_000)
        document = json.loads(plan.parameters)
        assert document["paths"] == paths
        assert "stop" not in document
        assert plan.units == 1
    with pytest.raises(Problem) as refused:
        extended(asked.parameters, json.dumps(end | {"stopped": "paths"}).encode(), 10**8)
    assert refused.value.extra["errors"][0]["pointer"] == "/paths"
