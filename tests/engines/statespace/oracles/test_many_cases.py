"""Five thousand random cases of all kinds against the exact oracle, beyond the seeds that CI runs."""

import pytest

from .draw_models import case_of
from .judge import judged

SHARES = {
    "structural": 1500,
    "arima": 1300,
    "velocity": 400,
    "acceleration": 400,
    "local": 400,
    "explained": 500,
    "instants": 200,
    "mixed": 300,
}
FIRST = 1001
PART = 50


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "seeds"),
    [
        (kind, range(first, first + PART))
        for kind, count in SHARES.items()
        for first in range(FIRST, FIRST + count, PART)
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.start}-{value.stop - 1}",
)
def test_every_output_of_many_random_models_is_the_exact_one_to_1e_8_of_its_scale(kind: str, seeds: range) -> None:
    wrong = [str(failure) for seed in seeds for failure in judged(case_of(kind, seed)).wrong]
    assert not wrong, "\n".join(wrong)
