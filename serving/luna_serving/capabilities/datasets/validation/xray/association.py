"""How strongly two categorical variables depend on each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Association:
    """Of two categorical variables."""

    strength: float
    """Bias-corrected Cramér's V: 0 for independence, 1 if one tells the other."""
    p_value: float
    """Pearson's chi-squared test of independence."""


def association(first: Sequence[str], second: Sequence[str]) -> Association:
    """Cramér's V with the bias correction of W. Bergsma.

    "A bias-correction for Cramér's V and Tschuprow's T", Journal of the Korean Statistical Society 42 (2013), 323-328,
    section 3. With chi-squared over n as phi2 of an r x k table, phi2 - (k - 1)(r - 1)/(n - 1), not below 0, is divided
    by the smaller of k' - 1 and r' - 1, where k' = k - (k - 1)^2/(n - 1) and r' likewise. Uncorrected, V of independent
    variables grows with the number of levels and as n falls: many devices would look confounded in every small set.
    """
    from scipy.special import chdtrc

    _, rows = np.unique(np.asarray(first), return_inverse=True)
    _, columns = np.unique(np.asarray(second), return_inverse=True)
    r, k, n = int(rows.max()) + 1, int(columns.max()) + 1, len(rows)
    if min(r, k) < 2 or n < 3:
        return Association(0.0, 1.0)
    table = np.bincount(rows * k + columns, minlength=r * k).reshape(r, k).astype(np.float64)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    chi2 = float(((table - expected) ** 2 / expected).sum())
    freedom = (r - 1) * (k - 1)
    phi2 = max(0.0, chi2 / n - freedom / (n - 1))
    corrected = min(k - (k - 1) ** 2 / (n - 1), r - (r - 1) ** 2 / (n - 1)) - 1
    # Nearly as many levels as observations leave nothing to divide by: the table is too thin to say anything.
    strength = min(float(np.sqrt(phi2 / corrected)), 1.0) if corrected > 0 else 0.0
    return Association(strength, float(chdtrc(freedom, chi2)))
