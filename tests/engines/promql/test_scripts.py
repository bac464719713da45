"""Every evaluation of every script: values worked out by hand, and checked once against Prometheus (`oracle`)."""

from pathlib import Path

import pytest
from tests.engines.promql.evaluating import check
from tests.engines.promql.promqltest import Evaluation, evaluations

SCRIPTS = sorted(Path(__file__).with_name("scripts").glob("*.test"))
EVALUATIONS = [evaluation for path in SCRIPTS for evaluation in evaluations(path.read_text(), path.name)]


@pytest.mark.parametrize("evaluation", EVALUATIONS, ids=lambda evaluation: evaluation.name)
def test_an_evaluation_gives_what_its_script_expects(evaluation: Evaluation) -> None:
    check(evaluation)


def test_the_suite_has_at_least_four_hundred_evaluations() -> None:
    assert len(EVALUATIONS) >= 400
