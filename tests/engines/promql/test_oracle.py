"""Prometheus agrees with our scripts, and our engine with it on random queries. Slow; where Go is installed."""

import shutil
from pathlib import Path

import pytest
from tests.engines.promql.fuzzing import differences
from tests.engines.promql.prometheus import Oracle
from tests.engines.promql.test_notes import LOAD, NOTED
from tests.engines.promql.test_refused import REFUSED

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2_400),
    pytest.mark.skipif(shutil.which("go") is None, reason="the oracle is built with Go"),
]


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    return Oracle.build(tmp_path_factory.mktemp("oracle"))


def test_prometheus_gives_what_the_scripts_expect(oracle: Oracle) -> None:
    assert oracle.check_scripts(str(Path(__file__).with_name("scripts") / "*.test")) == ""


def test_prometheus_refuses_what_we_refuse_at_the_same_place(oracle: Oracle) -> None:
    [answers] = oracle.answers([{"Load": "", "Queries": [{"Expr": query} for query, *_ in REFUSED]}])
    for (query, place, words), answer in zip(REFUSED, answers, strict=True):
        assert answer["Error"].startswith(f"{place}: parse error: "), query
        assert words in answer["Error"], query


def test_prometheus_adds_the_same_notes(oracle: Oracle) -> None:
    queries = [{"Expr": query, "Start": 300_000, "End": 300_000, "Step": 0} for query, _ in NOTED]
    [answers] = oracle.answers([{"Load": LOAD, "Queries": queries}])
    for (query, note), answer in zip(NOTED, answers, strict=True):
        assert [*(answer["Warnings"] or []), *(answer["Infos"] or [])] == [f"PromQL {note}"], query


@pytest.mark.parametrize("seed", range(20))
def test_random_queries_have_the_same_answers(oracle: Oracle, seed: int) -> None:
    assert differences(oracle, seed, queries=150) == []
