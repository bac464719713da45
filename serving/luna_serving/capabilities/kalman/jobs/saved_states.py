"""A series' saved state as JSON: what `/kalman/filter` answers as `state`, takes as `resume`, and streams keep."""

from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from luna_serving.engines.statespace.api.description import MAX_STATES, Digits, ModelError, Saved
from luna_serving.wire.numbers import Numbers
from luna_serving.wire.strict import StrictModel

ARRAYS = ("mean", "cov", "diffuse")
# Rows are counted in 32 bits, and a period may have 64 rows.
MOST_PERIODS: Final = 2**24
# See `statespace.multiprecision.cancellation`.
MOST_DIGITS: Final = 8
COUNTS = ("rank", "period", "nobs_diffuse")


class SavedDigits(StrictModel):
    """The next 53 bits of a saved state's numbers."""

    mean: Annotated[Any, Numbers(1, 1)]
    cov: Annotated[Any, Numbers(2, 2)]
    diffuse: Annotated[Any, Numbers(2, 2)]


class SavedState(StrictModel):
    """The filter after a series' last point, as an answer's `state` had it."""

    mean: Annotated[Any, Numbers(1, 1)] = Field(description="Of the next period's state, before its observation.")
    cov: Annotated[Any, Numbers(2, 2)] = Field(description="Its covariance; the finite part while it is diffuse.")
    diffuse: Annotated[Any, Numbers(2, 2)] = Field(description="A; the diffuse part is A A'.")
    rank: int = Field(ge=0, le=MAX_STATES, description="Of the diffuse part.")
    period: int = Field(ge=0, le=MOST_PERIODS, description="Periods so far: where matrices that vary in time go on.")
    nobs_diffuse: int = Field(ge=0, le=MOST_PERIODS, description="Periods so far that began diffuse.")
    root: Annotated[Any, Numbers(2, 2)] | None = Field(
        None, description="A square root of cov, where the filter carried one."
    )
    digits: list[SavedDigits] = Field(
        [],
        max_length=MOST_DIGITS,
        description="Of mean, cov and diffuse, where float64 has too few digits: what rounding took, part by part.",
    )

    def saved(self, states: int, at: str) -> Saved:
        """Check that it is a state of a model with `states` states, and convert it.

        Raises:
            ModelError: a part has the wrong shape, or is not a covariance; points below `at`.
        """
        if self.rank > states:
            raise ModelError(f"{at}/rank", f"must not exceed the model's {states} states")
        diffuse = _finite(f"{at}/diffuse", self.diffuse, (states, states))
        if (self.rank > 0) != bool(diffuse.any()):
            raise ModelError(f"{at}/rank", "must be above zero where diffuse is not zero, and only there")
        cov = _finite(f"{at}/cov", self.cov, (states, states))
        if not np.array_equal(cov, cov.T) or (np.diagonal(cov) < 0).any():
            raise ModelError(f"{at}/cov", "must be as an answer had it: symmetric, no variance below zero")
        return Saved(
            _finite(f"{at}/mean", self.mean, (states,)),
            cov,
            diffuse,
            self.rank,
            self.period,
            self.nobs_diffuse,
            None if self.root is None else _finite(f"{at}/root", self.root, (states, states)),
            tuple(
                Digits(
                    _finite(f"{at}/digits/{i}/mean", part.mean, (states,)),
                    _finite(f"{at}/digits/{i}/cov", part.cov, (states, states)),
                    _finite(f"{at}/digits/{i}/diffuse", part.diffuse, (states, states)),
                )
                for i, part in enumerate(self.digits)
            ),
        )


def _finite(pointer: str, value: object, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The array; its values are not bounded as those of a model's matrices are."""
    array = np.array(value, dtype=np.float64)
    if array.shape != shape:
        raise ModelError(pointer, f"must have shape {list(shape)}; got {list(array.shape)}")
    if not np.isfinite(array).all():
        raise ModelError(pointer, "must hold finite numbers only")
    return array


def to_words(saved: Saved) -> dict[str, Any]:
    """A JSON object that round-trips exactly."""
    words: dict[str, Any] = {name: np.ascontiguousarray(getattr(saved, name)) for name in ARRAYS}
    words |= {name: int(getattr(saved, name)) for name in COUNTS}
    if saved.root is not None:
        words["root"] = np.ascontiguousarray(saved.root)
    if saved.digits:
        words["digits"] = [
            {name: np.ascontiguousarray(getattr(part, name)) for name in ARRAYS} for part in saved.digits
        ]
    return words


def from_words(words: dict[str, Any]) -> Saved:
    """Read what `to_words` wrote."""
    mean, cov, diffuse = (np.array(words[name], dtype=np.float64) for name in ARRAYS)
    rank, period, nobs_diffuse = (int(words[name]) for name in COUNTS)
    root = words.get("root")
    digits = tuple(
        Digits(*(np.array(part[name], dtype=np.float64) for name in ARRAYS)) for part in words.get("digits", ())
    )
    return Saved(
        mean, cov, diffuse, rank, period, nobs_diffuse, None if root is None else np.array(root, np.float64), digits
    )
