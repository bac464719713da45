"""What the answers of /markowitz say."""

import numpy as np
import pytest
from tests.capabilities.markowitz.asking import COV, MEAN, answer, work
from tests.engines.finance.markowitz.examples import COUNTRY_COV, GERMANY, MARKET, random_returns

RETURNS = random_returns(4, 1, 60).tolist()
OBJECTIVES = {
    "max_sharpe": {"risk_free": 0.01},
    "min_variance": {},
    "target_return": {"target": 0.08},
    "target_risk": {"target": 0.2},
    "risk_parity": {},
    "hrp": {},
}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_portfolio_has_its_proof(objective: str) -> None:
    found = answer(mean=MEAN, cov=COV, objective=objective, **OBJECTIVES[objective])
    weights = np.array(found["weights"])
    assert abs(weights.sum() - 1) < 1e-12
    assert found["kkt_residual"] < 1e-10
    assert found["risk"] == pytest.approx(np.sqrt(weights @ np.array(COV) @ weights))
    assert found["expected_return"] == pytest.approx(weights @ np.array(MEAN))
    rate = OBJECTIVES[objective].get("risk_free", 0.0)
    assert found["sharpe"] == pytest.approx((found["expected_return"] - rate) / found["risk"])
    assert sum(found["risk_contributions"]) == pytest.approx(found["risk"])
    assert found["plan"]["objective"] == objective
    assert found["assets"][2] == {"name": "2", "expected_return": 0.11, "risk": pytest.approx(0.4)}


def test_a_target_and_a_bound_that_bind_are_named_with_their_prices() -> None:
    body = {"mean": MEAN, "cov": COV, "constraints": {"bounds": [[0, 1], [0, 1], [0, 0.2]]}}
    found = answer(**body, objective="target_return", target=0.08)
    prices = {each["constraint"]: each["price"] for each in found["binding"]}
    assert set(prices) == {"/target", "/constraints/bounds/2/1"}
    step = 1e-6
    other = answer(**body, objective="target_return", target=0.08 + step)
    assert prices["/target"] == pytest.approx((other["risk"] - found["risk"]) / step, rel=1e-4)


def test_a_group_and_turnover_bind() -> None:
    constraints = {
        "groups": [{"members": [0, 1], "max": 0.6}],
        "turnover": {"from": [0.6, 0.2, 0.2], "max": 0.9},
    }
    found = answer(mean=MEAN, cov=COV, objective="min_variance", constraints=constraints)
    pointers = {each["constraint"] for each in found["binding"] if each["price"] > 0}
    assert pointers == {"/constraints/groups/0/max"}
    assert found["weights"][2] == pytest.approx(0.4)
    tight = {"turnover": {"from": [0.1, 0.1, 0.8], "max": 0.2}}
    found = answer(mean=MEAN, cov=COV, objective="min_variance", constraints=tight)
    assert "/constraints/turnover/max" in {each["constraint"] for each in found["binding"]}
    assert np.abs(np.array(found["weights"]) - [0.1, 0.1, 0.8]).sum() == pytest.approx(0.2, abs=1e-12)


def test_the_frontier_has_corners_and_points() -> None:
    found = answer(mean=MEAN, cov=COV, objective="efficient_frontier", points=7, assets=["a", "b", "c"])
    assert len(found["points"]) == 7
    assert found["corners"][0]["risk"] == found["points"][0]["risk"]
    assert found["corners"][-1]["weights"] == pytest.approx([0, 0, 1])
    returns = [each["expected_return"] for each in found["points"]]
    assert np.diff(returns) == pytest.approx(np.diff(returns)[0])
    assert [each["name"] for each in found["assets"]] == ["a", "b", "c"]


@pytest.mark.parametrize("estimator", ["sample", "ledoit_wolf", "oas", "ewm", {"kind": "ewm", "decay": 0.9}])
def test_estimators_by_name_and_by_object(estimator: object) -> None:
    found = answer(returns=RETURNS, objective="min_variance", estimator=estimator)
    kind = estimator if isinstance(estimator, str) else "ewm"
    assert found["plan"] | {"periods": 60, "estimator": kind, "assets": 4} == found["plan"]
    assert ("shrinkage" in found) is (kind in {"ledoit_wolf", "oas"})


def test_prices_are_simple_returns() -> None:
    prices = np.vstack([np.ones(4), np.cumprod(1 + np.array(RETURNS), axis=0)])
    a = answer(prices=prices.tolist(), objective="min_variance")
    b = answer(returns=RETURNS, objective="min_variance")
    assert a["weights"] == pytest.approx(b["weights"], abs=1e-9)


@pytest.mark.parametrize("beside", [False, True])
def test_he_and_litterman_s_view(beside: bool) -> None:
    members = {
        "market_weights": MARKET.tolist(),
        "risk_aversion": 2.5,
        "tau": 0.05,
        "views": [{"weights": GERMANY.tolist(), "mean": 0.05}],
    }
    estimator = (
        {"estimator": "black_litterman", **members} if beside else {"estimator": {"kind": "black_litterman", **members}}
    )
    found = answer(cov=COUNTRY_COV.tolist(), objective="max_sharpe", **estimator)
    assert 100 * found["posterior"]["mean"][3] == pytest.approx(11.0375, abs=5e-5)
    assert 100 * found["posterior"]["weights"][3] == pytest.approx(35.4295, abs=5e-5)
    assert found["plan"]["estimator"] == "black_litterman"


def test_the_tail_of_the_least_cvar() -> None:
    found = answer(returns=RETURNS, objective="min_cvar", level=0.9)
    losses = np.sort(-np.array(RETURNS) @ np.array(found["weights"]))[::-1]
    assert found["cvar"] == pytest.approx(losses[:6].mean())
    assert found["cvar"] >= found["var"]
    assert found["level"] == 0.9


def test_what_a_problem_costs_and_how_long_it_takes() -> None:
    small = work({"cov": COV, "objective": "min_variance"})
    assert (small.units, small.grant.name) == (1, "min_variance")
    assert small.seconds < 0.01
    assert small.as_job().plan == answer(cov=COV, objective="min_variance")["plan"]
    slow = work({"returns": RETURNS, "objective": "min_variance", "estimator": "kalman"})
    assert slow.seconds > 1
