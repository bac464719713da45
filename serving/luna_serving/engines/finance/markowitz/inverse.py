"""The inverse of the covariance of the free assets, updated by one asset at a time."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotri

from luna_serving.engines.finance.markowitz.constraints import Floats

# Updates after which the inverse is computed afresh.
FRESH: Final = 40
# A pivot below this share of the variance has lost too many digits to update with.
SMALL: Final = 1e-6
# The residual of a solve, relative to its right side, above which it is refined.
ACCURATE: Final = 1e-12
REFINEMENTS: Final = 5


class FreeInverse:
    """inv(C[F, F]) for a set F that changes; O(k^2) per change of k assets."""

    def __init__(self, cov: Floats, exact: Floats | None = None) -> None:
        """Begin with no asset.

        Args:
            cov: [n, n], positive definite.
            exact: [n, n], the same without its ridge; solutions are refined to it where it determines them.
        """
        n = len(cov)
        self._cov = cov
        self._exact = None if exact is cov else exact
        self._inverse = np.zeros((n, n))
        self._part = np.zeros((n, n))
        self._members = np.zeros(n, np.intp)
        self._count = 0
        self._updates = 0

    @property
    def members(self) -> NDArray[np.intp]:
        """[k], the free assets, in the order of the rows."""
        return self._members[: self._count]

    def restart(self, members: NDArray[np.intp]) -> None:
        """Compute it for these assets."""
        k = self._count = len(members)
        self._members[:k] = members
        self._part[:k, :k] = self._cov[np.ix_(members, members)]
        factor, info = dpotrf(self._part[:k, :k], lower=1)
        if info != 0:
            raise np.linalg.LinAlgError("the covariance of the free assets is singular")
        inverse, _ = dpotri(factor, lower=1)
        lower = np.tril(inverse)
        self._inverse[:k, :k] = lower + np.tril(lower, -1).T
        self._updates = 0

    def add(self, asset: int) -> None:
        """Free an asset (bordering)."""
        k = self._count
        column = self._cov[asset, self._members[:k]]
        block = self._inverse[:k, :k]
        y = block @ column
        pivot = float(self._cov[asset, asset] - column @ y)
        if pivot < SMALL * float(self._cov[asset, asset]) or self._updates >= FRESH:
            self.restart(np.append(self._members[:k], asset))
            return
        block += np.outer(y / pivot, y)
        self._inverse[k, :k] = self._inverse[:k, k] = -y / pivot
        self._inverse[k, k] = 1.0 / pivot
        self._part[k, :k] = self._part[:k, k] = column
        self._part[k, k] = self._cov[asset, asset]
        self._members[k] = asset
        self._count += 1
        self._updates += 1

    def remove(self, asset: int) -> None:
        """Bind an asset."""
        k = self._count
        row = int(np.flatnonzero(self._members[:k] == asset)[0])
        if self._updates >= FRESH:
            self.restart(np.delete(self._members[:k], row))
            return
        last = k - 1
        if row != last:
            for matrix in (self._inverse, self._part):
                matrix[[row, last], :k] = matrix[[last, row], :k]
                matrix[:k, [row, last]] = matrix[:k, [last, row]]
            self._members[[row, last]] = self._members[[last, row]]
        border = self._inverse[:last, last].copy()
        self._inverse[:last, :last] -= np.outer(border / self._inverse[last, last], border)
        self._count = last
        self._updates += 1

    def solve(self, right: Floats) -> Floats:
        """[k, r]: C[F, F] x = right, refined until its residual is rounding."""
        k = self._count
        x, _ = self._refined(self._inverse[:k, :k] @ right, right, self._part[:k, :k])
        if self._exact is None:
            return x
        members = self.members
        better, settled = self._refined(x, right, self._exact[np.ix_(members, members)])
        return better if settled else x

    def _refined(self, x: Floats, right: Floats, part: Floats) -> tuple[Floats, bool]:
        """X after steps by the inverse towards part x = right, and whether it is there."""
        inverse = self._inverse[: self._count, : self._count]
        scale = np.abs(right).max(axis=0) + np.finfo(float).tiny
        for _ in range(REFINEMENTS):
            residual = right - part @ x
            x = x + inverse @ residual
            if (np.abs(residual).max(axis=0) <= ACCURATE * scale).all():
                return x, True
        return x, False
