"""Schemathesis over the whole OpenAPI document, against a running Luna."""

from pathlib import Path

import pytest
from tests.threats.running import LocalLuna
from tests.threats.schemathesis_run import Attacker, Outcome, attack

# Together 100 s; the slow suite takes twenty times as long.
SECONDS = {"key": 40, "person": 40, "none": 20}
SEED = 20_261_129


def shown(outcome: Outcome) -> str:
    """What failed, from the end of the output."""
    _, found, failures = outcome.output.partition("= FAILURES =")
    return failures[:20_000] if found else outcome.output[-20_000:]


def assert_as_documented(outcome: Outcome, least: int) -> None:
    assert outcome.status == 0, shown(outcome)
    assert outcome.requests >= least, outcome.output[-5000:]
    assert not [status for status in outcome.by_status if int(status) >= 500], outcome.by_status


@pytest.mark.timeout(420)
@pytest.mark.parametrize("credentials", SECONDS)
def test_every_answer_is_one_that_the_document_names(luna: LocalLuna, tmp_path: Path, credentials: str) -> None:
    outcome = attack(Attacker.of(luna), credentials, tmp_path, seconds=SECONDS[credentials], seed=SEED)
    assert_as_documented(outcome, least=50)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("credentials", SECONDS)
def test_every_answer_is_one_that_the_document_names_for_long(
    luna: LocalLuna, tmp_path: Path, credentials: str
) -> None:
    attacker = Attacker.of(luna)
    for repetition in range(5):
        outcome = attack(attacker, credentials, tmp_path, seconds=2 * SECONDS[credentials], seed=SEED + 1 + repetition)
        assert_as_documented(outcome, least=400)
