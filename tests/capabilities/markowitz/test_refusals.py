"""Bad bodies, each with the pointer to what is wrong."""

from typing import Any

import numpy as np
import pytest
from tests.capabilities.markowitz.asking import COV, MEAN, refused

from luna_serving.jobs.routes.creation import below
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError

OK = {"mean": MEAN, "cov": COV, "objective": "max_sharpe"}
LEAST = {"cov": COV, "objective": "min_variance"}
RETURNS = [[0.01, 0.02], [0.02, -0.01], [0.0, 0.01]]


def limits(**constraints: Any) -> dict[str, Any]:
    return {**LEAST, "constraints": constraints}


CASES: list[tuple[str, dict[str, Any] | bytes, str]] = [
    ("no data", {"objective": "max_sharpe"}, ""),
    ("two kinds of data", {**OK, "returns": RETURNS}, "/cov"),
    ("no objective", {"cov": COV}, "/objective"),
    ("an unknown objective", {**OK, "objective": "max_fun"}, "/objective"),
    ("an unknown member", {**OK, "riskfree": 0}, "/riskfree"),
    ("no means", {"cov": COV, "objective": "max_sharpe"}, "/mean"),
    ("no covariance", {"mean": MEAN, "objective": "max_sharpe"}, "/cov"),
    ("means of another length", {**OK, "mean": [1, 2]}, "/cov"),
    ("a covariance that is not square", {**LEAST, "cov": [[1, 0, 0], [0, 1, 0]]}, "/cov"),
    ("rows of different lengths", {**LEAST, "cov": [[1, 0], [0]]}, "/cov"),
    ("a covariance that is not symmetric", {**LEAST, "cov": [[1, 0.5], [0.1, 1]]}, "/cov/0/1"),
    ("a negative variance", {**LEAST, "cov": [[1, 0], [0, -1]]}, "/cov/1/1"),
    ("a negative eigenvalue", {**LEAST, "cov": [[1, 2], [2, 1]]}, "/cov"),
    ("NaN", b'{"mean": [NaN, 1], "cov": [[1, 0], [0, 1]], "objective": "max_sharpe"}', "/mean/0"),
    ("infinity", b'{"cov": [[1e400, 0], [0, 1]], "objective": "min_variance"}', "/cov/0/0"),
    ("a number that overflows", {**LEAST, "cov": [[1e200, 0], [0, 1]]}, "/cov"),
    ("text", {**LEAST, "cov": [["1", 0], [0, 1]]}, "/cov"),
    ("one period", {"returns": [[0.1, 0.2]], "objective": "min_variance"}, "/returns"),
    ("a return that is null", {"returns": [[0.1, None], [0.2, 0.1]], "objective": "min_variance"}, "/returns/0/1"),
    ("returns of different lengths", {"returns": [[0.1, 0.2], [0.1]], "objective": "min_variance"}, "/returns/1"),
    ("a price of zero", {"prices": [[1, 1], [1, 0], [1, 1]], "objective": "min_variance"}, "/prices/1/1"),
    ("a target that is missing", {**OK, "objective": "target_return"}, "/target"),
    ("a target too many", {**OK, "target": 1}, "/target"),
    ("a negative risk", {**OK, "objective": "target_risk", "target": -1}, "/target"),
    ("a level of one", {"returns": RETURNS, "objective": "min_cvar", "level": 1}, "/level"),
    ("scenarios that are missing", {**OK, "objective": "min_cvar"}, "/returns"),
    ("too many points", {**OK, "objective": "efficient_frontier", "points": 10**6}, "/points"),
    ("no excess return", {**OK, "risk_free": 0.2}, "/risk_free"),
    ("cardinality", limits(cardinality=2), "/constraints/cardinality"),
    ("an unknown constraint", limits(leverage=2), "/constraints/leverage"),
    ("too few bounds", limits(bounds=[[0, 1]]), "/constraints/bounds"),
    ("bounds that are no pairs", limits(bounds=[[0], [0], [0]]), "/constraints/bounds"),
    ("crossed bounds", limits(bounds=[[0, 1], [0.5, 0.4], [0, 1]]), "/constraints/bounds/1/0"),
    ("bounds below one", limits(bounds=[0, 0.3]), "/constraints/bounds/0/1"),
    ("an asset that is not there", limits(groups=[{"members": [3], "max": 1}]), "/constraints/groups/0/members/0"),
    ("an asset twice", limits(groups=[{"members": [1, 1], "max": 1}]), "/constraints/groups/0/members"),
    ("a group without limits", limits(groups=[{"members": [1]}]), "/constraints/groups/0"),
    ("a group out of reach", limits(groups=[{"members": [1], "min": 1.2}]), "/constraints/groups/0/min"),
    ("a turnover of two assets", limits(turnover={"from": [1, 0], "max": 1}), "/constraints/turnover/from"),
    ("a negative turnover", limits(turnover={"from": [1, 0, 0], "max": -1}), "/constraints/turnover/max"),
    ("a return out of reach", {**OK, "objective": "target_return", "target": 0.2}, "/target"),
    ("a risk out of reach", {**OK, "objective": "target_risk", "target": 0.1}, "/target"),
    ("an unknown estimator", {"returns": RETURNS, "objective": "min_variance", "estimator": "magic"}, "/estimator"),
    ("an estimator of moments", {**LEAST, "estimator": "oas"}, "/estimator"),
    ("a member of another estimator", {"returns": RETURNS, "objective": "min_variance", "tau": 1}, "/tau"),
    (
        "a view of two assets",
        {
            **LEAST,
            "estimator": {"kind": "black_litterman", "market_weights": MEAN, "views": [{"weights": [1], "mean": 1}]},
        },
        "/estimator/views/0/weights",
    ),
    ("no market", {**LEAST, "estimator": {"kind": "black_litterman"}}, "/estimator/market_weights"),
    ("names of other assets", {**LEAST, "assets": ["a"]}, "/assets"),
]


@pytest.mark.parametrize(("body", "pointer"), [(b, p) for _, b, p in CASES], ids=[name for name, _, _ in CASES])
def test_it_is_refused_with_a_pointer(body: dict[str, Any] | bytes, pointer: str) -> None:
    errors = refused(body)["errors"]
    assert errors[0]["pointer"] == pointer


def test_contradictory_constraints_are_all_named_with_the_gap() -> None:
    groups = [{"members": [0], "max": 0.2}, {"members": [1, 2], "max": 0.5}]
    found = refused(limits(groups=groups))
    assert [each["pointer"] for each in found["errors"]] == ["/constraints/groups/0/max", "/constraints/groups/1/max"]
    assert found["gap"] == pytest.approx(0.3)
    assert "/constraints/groups/1/max" in found["errors"][0]["detail"]


def test_every_bound_of_a_conflict_is_named() -> None:
    n = 40
    found = refused(
        {"cov": np.eye(n).tolist(), "objective": "min_variance", "constraints": {"bounds": [[0, 0.02]] * n}}
    )
    assert len(found["errors"]) == n
    assert found["gap"] == pytest.approx(0.2)


def test_the_nearest_covariance_is_sent_and_is_taken() -> None:
    found = refused({**LEAST, "cov": [[1, 2], [2, 1]]})
    assert found["eigenvalue"] == pytest.approx(-1)
    assert found["nearest"] == pytest.approx(np.full((2, 2), 1.5))


def test_as_parameters_of_a_job_the_facts_stay() -> None:
    moved = below(problems.invalid(FieldError("/cov", "no"), facts={"eigenvalue": -1.0}), "/parameters")
    assert moved.extra["eigenvalue"] == -1.0
    assert moved.extra["errors"] == [{"pointer": "/parameters/cov", "detail": "no"}]
