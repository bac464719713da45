"""Jobs: the same bits on any number of workers, after a kill and in pieces; partial results and their price."""

import asyncio
import json
from typing import Any

import pytest
from tests.capabilities.montecarlo.attempts import Attempt, Killed, parameters, ran, went_on

from luna_serving.capabilities.montecarlo import job_kind
from luna_serving.capabilities.montecarlo.job_kind import run_job
from luna_serving.capabilities.montecarlo.reporting import sections
from luna_serving.jobs.kinds import JobInvalid

GBM = {"kind": "gbm", "spot": 100, "rate": 0.05, "dividend_yield": 0.02, "volatility": 0.2}
BASKET = {
    "kind": "basket",
    "assets": [{"spot": 100, "volatility": 0.2}, {"spot": 50, "volatility": 0.3}],
    "correlation": [[1, 0.3], [0.3, 1]],
}
EUROPEAN = {"kind": "european", "type": "call", "strike": 100}
PROBLEMS: dict[str, dict[str, Any]] = {
    "net": {"model": GBM, "payoff": EUROPEAN, "expiry": 1, "paths": 300_000},
    "paths": {"model": GBM, "payoff": EUROPEAN, "expiry": 1, "steps": 2, "paths": 200_000, "sampling": "pseudo"},
    "risk": {"model": BASKET, "payoff": {"kind": "portfolio", "weights": [0.5, 0.5], "horizon": 0.1}, "paths": 150_000},
    "early": {
        "model": GBM,
        "payoff": {"kind": "american", "type": "put", "strike": 100, "upper_bound": True},
        "expiry": 1,
        "steps": 5,
        "paths": 80_000,
    },
}


def problem(name: str, **more: Any) -> bytes:
    return parameters(**PROBLEMS[name], seed=7, **more)


def numbers(result: bytes) -> dict[str, Any]:
    """What was estimated, without the plan."""
    return {name: value for name, value in json.loads(result).items() if name != "plan"}


@pytest.mark.parametrize("name", PROBLEMS)
async def test_the_bits_are_the_same_on_one_two_and_four_workers(name: str) -> None:
    ends = [await ran(problem(name), workers=workers, ahead=3 * workers) for workers in (1, 2, 4)]
    assert ends[0].result == ends[1].result == ends[2].result


@pytest.mark.parametrize("name", PROBLEMS)
async def test_the_bits_are_the_same_after_a_kill(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_kind, "CHECKPOINT_S", 0.0)
    monkeypatch.setattr(job_kind, "MOST_BLOCKS", 1)
    killed = Attempt(problem(name), None, 2, kill_after=3)
    with pytest.raises(Killed):
        await run_job(killed, ahead=4)
    assert killed.kept is not None
    resumed = await ran(problem(name), checkpoint=killed.kept, workers=2)
    assert resumed.result == (await ran(problem(name))).result


@pytest.mark.parametrize("name", PROBLEMS)
async def test_the_bits_are_the_same_when_extended_in_two_pieces(name: str) -> None:
    asked, paths = problem(name), PROBLEMS[name]["paths"]
    finished = await ran(asked)
    asked, finished = await went_on(asked, finished, paths, workers=2)
    asked, finished = await went_on(asked, finished, paths)
    whole = await ran(parameters(**{**PROBLEMS[name], "paths": 3 * paths}, seed=7))
    assert json.loads(asked)["paths"] == 3 * paths
    assert finished.result == whole.result


async def test_an_extension_costs_its_own_paths() -> None:
    asked = parameters(**{**PROBLEMS["paths"], "paths": 2_000_000}, seed=7)
    first = await ran(asked, workers=2, ahead=8)
    assert first.units == 4
    _, more = await went_on(asked, first, 1_000_000, workers=2, ahead=8)
    assert more.units == 2


async def test_a_job_that_is_cancelled_half_way_leaves_a_valid_estimate_at_half_its_cost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job_kind, "MOST_BLOCKS", 1)
    asked = parameters(**{**PROBLEMS["paths"], "paths": 4_000_000}, seed=7)
    attempt = Attempt(asked, None, 2, None)
    running: asyncio.Task[Any] = asyncio.create_task(run_job(attempt, ahead=4))  # type: ignore[arg-type]

    def at_half(completed: int) -> None:
        if completed >= 122:
            running.cancel()

    attempt.reported = at_half
    with pytest.raises(asyncio.CancelledError):
        await running
    assert attempt.left is not None
    result, units = attempt.left
    document = json.loads(result)
    assert document["stopped"] == "cancelled"
    # Of 245 blocks and 8 units, 121 or a few more.
    assert units == -(-document["paths"] * 2 // 10**6)
    assert units in {4, 5}
    assert abs(document["value"] - 9.22700550815) < 4 * document["std_error"]


async def test_a_job_stops_where_its_error_is_small_enough_whatever_computes_it() -> None:
    asked = problem("paths", stop={"std_error": 0.02})
    ends = [await ran(asked, workers=workers, ahead=4 * workers) for workers in (1, 4)]
    assert ends[0].result == ends[1].result
    document = json.loads(ends[0].result)
    assert document["stopped"] == "std_error"
    assert document["std_error"] <= 0.02
    assert document["paths"] < 200_000


async def test_a_job_stops_at_its_time_after_a_whole_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_kind, "MOST_BLOCKS", 1)
    finished = await ran(problem("paths", stop={"seconds": 1e-9}))
    document = json.loads(finished.result)
    assert document["stopped"] == "seconds"
    assert document["paths"] % document["plan"]["block_paths"] == 0


async def test_prices_that_overflow_are_the_callers_fault() -> None:
    model = {"kind": "gbm", "spot": 100, "rate": 10, "volatility": 0.2}
    risk = {"kind": "portfolio", "weights": [1], "horizon": 100}
    for problem in ({"payoff": EUROPEAN, "expiry": 100}, {"payoff": risk}):
        asked = parameters(model=model, **problem, paths=1, seed=7)
        with pytest.raises(JobInvalid) as refused:
            await ran(asked)
        assert refused.value.pointer == "/model"


async def test_the_estimate_and_the_blocks_are_its_progress() -> None:
    attempt = Attempt(problem("net"), None, 1, None)
    await run_job(attempt, ahead=2)
    assert attempt.completed[0] == (0, 19)
    assert attempt.completed[-1] == (19, None)
    assert set(attempt.estimates[-1]) == {"value", "std_error", "interval", "paths"}


@pytest.mark.parametrize("name", PROBLEMS)
async def test_the_report_has_its_charts(name: str) -> None:
    finished = await ran(problem(name))
    names = {artifact.name for artifact in finished.artifacts}
    assert {"histogram.svg", "convergence.svg", "state.json"} < names
    assert {"fan.svg", "fan-0.svg"} & names
    titles = [section.title for section in sections(problem(name), finished.result)]
    assert titles == (["Estimate", "Risk"] if name == "risk" else ["Estimate"])


@pytest.mark.parametrize(
    ("value", "error", "shown"),
    [
        (0.007698955, 0.000263, "0.0077"),
        (10.454103156, 0.00194594, "10.4541"),
        (100.0, 0.0, "100"),
        (0.0, 0.1, "0"),
        (-0.31, 2.0, "\N{MINUS SIGN}0.31"),
        (4.876, 1e-12, "4.876"),
    ],
)
def test_a_figure_has_the_digits_that_its_error_leaves(value: float, error: float, shown: str) -> None:
    result = {
        "value": value,
        "std_error": error,
        "interval": {"level": 0.95, "lower": value, "upper": value},
        "paths": 16,
        "convergence": [{"paths": 16, "value": value, "std_error": error}],
        "plan": {"steps": 1, "sampling": "pseudo"},
    }
    (estimate,) = sections(problem("net"), json.dumps(result).encode())
    figures = {each.label: each.value for each in estimate.blocks[0].figures}
    assert figures["Value"] == shown
    assert figures["95 % interval"] == f"{shown} to {shown}"
