"""Random cases of all kinds against the exact oracle: of three hundred, CI runs every second part of each kind.

`test_many_cases.py` runs five thousand.
"""

import pytest

from .draw_models import case_of
from .judge import judged

SHARES = {
    "structural": 90,
    "arima": 70,
    "velocity": 25,
    "acceleration": 25,
    "local": 30,
    "explained": 25,
    "instants": 10,
    "mixed": 25,
}
FIRST = 1
# pytest reports a part when it is through.
PART = 20


@pytest.mark.parametrize(
    ("kind", "seeds"),
    [
        pytest.param(
            kind, range(first, min(first + PART, FIRST + count)), marks=[pytest.mark.slow] if number % 2 else []
        )
        for kind, count in SHARES.items()
        for number, first in enumerate(range(FIRST, FIRST + count, PART))
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.start}-{value.stop - 1}",
)
def test_every_output_of_a_random_model_is_the_exact_one_to_1e_8_of_its_scale(kind: str, seeds: range) -> None:
    wrong = [str(failure) for seed in seeds for failure in judged(case_of(kind, seed)).wrong]
    assert not wrong, "\n".join(wrong)
