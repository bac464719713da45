"""What the numbers of an answer are worth. Pure NumPy."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from luna_serving.statespace.results import SeriesResult

# The rounding of what was vague stays in what is precise: a smoothed variance below this multiple of the filtered
# one has fewer than 8 digits.
POOR: Final = 1e-8
# A filtered variance below this multiple of the predicted one is the rounding of zero, and has no digits to lose.
NOTHING: Final = 1e-12


def poorly_smoothed(result: SeriesResult) -> bool:
    """Whether some smoothed variance has lost more than 8 digits: the filtered one is that much larger."""
    if result.full is None or result.smoothed is None or not result.finite:
        return False
    predicted, filtered, smoothed = (
        np.diagonal(cov, axis1=1, axis2=2)
        for cov in (
            result.full.predicted_state_cov[:-1],
            result.full.filtered_state_cov,
            result.smoothed.smoothed_state_cov,
        )
    )
    lost = (smoothed < POOR * filtered) & (filtered > NOTHING * predicted) & ~result.smoothed.smoothed_state_diffuse
    return bool(lost.any())


def warnings_of(results: Sequence[SeriesResult]) -> tuple[str, ...]:
    """What whoever asked for these series should know of their numbers."""
    warnings = overflows([result.finite for result in results])
    poor = sum(map(poorly_smoothed, results))
    if poor:
        warnings += (f"{poor} of {len(results)} series have smoothed variances 1e8 times below the filtered ones",)
    return warnings


def overflows(finite: Sequence[bool]) -> tuple[str, ...]:
    """A warning where some series have no finite answer."""
    bad = sum(not each for each in finite)
    return (f"{bad} of {len(finite)} series overflowed float64",) if bad else ()
