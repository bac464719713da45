"""Counts, means and co-moments of samples, by group; joined pairwise.

Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from jaxtyping import Float

Floats = Float[np.ndarray, "..."]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Of `d` quantities in `groups` groups: the scrambles of a net, or one group of independent samples."""

    count: int
    """Samples of each group."""
    mean: Float[np.ndarray, "groups d"]
    comoment: Float[np.ndarray, "groups d d"]
    """Sums of products of deviations from the mean."""

    @classmethod
    def of(cls, samples: Float[np.ndarray, "d groups n"]) -> Self:
        """Of n samples a group."""
        d, groups, n = samples.shape
        mean = np.empty((groups, d))
        comoment = np.empty((groups, d, d))
        deviations = []
        for i in range(d):
            mean[:, i] = samples[i].sum(axis=1) / n
            deviations.append(samples[i] - mean[:, i, None])
        for i in range(d):
            for j in range(i + 1):
                # Not a matrix product: BLAS may add in another order with another number of threads.
                comoment[:, i, j] = comoment[:, j, i] = (deviations[i] * deviations[j]).sum(axis=1)
        return cls(n, mean, comoment)

    def joined(self, other: Self) -> Self:
        """Of the samples of both."""
        count = self.count + other.count
        difference = other.mean - self.mean
        mean = self.mean + difference * (other.count / count)
        between = difference[:, :, None] * difference[:, None, :] * (self.count * other.count / count)
        return type(self)(count, mean, self.comoment + other.comoment + between)

    def pooled(self) -> Self:
        """Of the samples of all groups, as one group."""
        mean = self.mean.mean(axis=0)
        away = self.mean - mean
        between = (away[:, :, None] * away[:, None, :]).sum(axis=0) * self.count
        groups = len(self.mean)
        return type(self)(self.count * groups, mean[None], (self.comoment.sum(axis=0) + between)[None])

    def beside(self, others: Sequence[Self]) -> Self:
        """With the groups of others, which have as many samples each."""
        every = (self, *others)
        return type(self)(
            self.count,
            np.concatenate([each.mean for each in every]),
            np.concatenate([each.comoment for each in every]),
        )

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it; float64 survives exactly."""
        return {"count": self.count, "mean": self.mean.tolist(), "comoment": self.comoment.tolist()}

    @classmethod
    def from_dict(cls, words: dict[str, Any]) -> Self:
        """From `as_dict`."""
        return cls(words["count"], np.array(words["mean"]), np.array(words["comoment"]))
