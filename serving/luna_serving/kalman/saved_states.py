"""A series' saved state as JSON: what `/kalman/filter` answers as `state`, takes as `resume`, and streams keep."""

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from luna_serving.kalman.wire.words import Numbers, Words
from luna_serving.statespace.checks import ModelError, covariance, matrix, vector
from luna_serving.statespace.saved import Saved

ARRAYS = ("mean", "cov", "diffuse")
COUNTS = ("rank", "period", "nobs_diffuse")


class SavedState(Words):
    """Where a series stands after its last point, as an answer's `state` had it."""

    mean: Annotated[Any, Numbers(1, 1)] = Field(description="Of the next period's state, before its observation.")
    cov: Annotated[Any, Numbers(2, 2)] = Field(description="Its covariance; the finite part while it is diffuse.")
    diffuse: Annotated[Any, Numbers(2, 2)] = Field(description="A; the diffuse part is A A'.")
    rank: int = Field(ge=0, description="Of the diffuse part.")
    period: int = Field(ge=0, description="Periods so far: where matrices that vary in time go on.")
    nobs_diffuse: int = Field(ge=0, description="Periods so far that began diffuse.")
    root: Annotated[Any, Numbers(2, 2)] | None = Field(
        None, description="A square root of cov, where the filter carried one."
    )

    def saved(self, states: int, at: str) -> Saved:
        """The state of a model of so many states.

        Raises:
            ModelError: a part has another shape, or is no covariance; points below `at`.
        """
        if self.rank > states:
            raise ModelError(f"{at}/rank", f"must not exceed the model's {states} states")
        return Saved(
            vector(f"{at}/mean", self.mean, states),
            covariance(f"{at}/cov", self.cov, states),
            matrix(f"{at}/diffuse", self.diffuse, states),
            self.rank,
            self.period,
            self.nobs_diffuse,
            None if self.root is None else matrix(f"{at}/root", self.root, states),
        )


def to_words(saved: Saved) -> dict[str, Any]:
    """As a JSON object that reads back to the last bit."""
    words: dict[str, Any] = {name: np.ascontiguousarray(getattr(saved, name)) for name in ARRAYS}
    words |= {name: int(getattr(saved, name)) for name in COUNTS}
    return words if saved.root is None else words | {"root": np.ascontiguousarray(saved.root)}


def from_words(words: dict[str, Any]) -> Saved:
    """Read what `to_words` wrote."""
    mean, cov, diffuse = (np.array(words[name], dtype=np.float64) for name in ARRAYS)
    rank, period, nobs_diffuse = (int(words[name]) for name in COUNTS)
    root = words.get("root")
    return Saved(mean, cov, diffuse, rank, period, nobs_diffuse, None if root is None else np.array(root, np.float64))
