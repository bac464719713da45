"""The same problems, posed to Clarabel without any code of ours: plain matrices, its own tolerances."""

import clarabel
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]


def clarabel_weights(
    cov: Floats,
    linear: Floats,
    lower: Floats,
    upper: Floats,
    rows: Floats | None = None,
    most: Floats | None = None,
) -> Floats:
    """The w that minimises w'Cw / 2 - c'w under 1'w = 1, l <= w <= u and rows w <= most."""
    n = len(linear)
    scale = float(np.trace(cov)) / n
    extra = np.zeros((0, n)) if rows is None else rows
    matrix = np.vstack([np.ones((1, n)), np.eye(n), -np.eye(n), extra])
    right = np.concatenate([[1.0], upper, -lower, np.zeros(0) if most is None else most])
    cones = [clarabel.ZeroConeT(1), clarabel.NonnegativeConeT(len(matrix) - 1)]
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-12
    answer = clarabel.DefaultSolver(
        sparse.csc_matrix(np.triu(cov / scale)), -linear / scale, sparse.csc_matrix(matrix), right, cones, settings
    ).solve()
    return np.asarray(answer.x)
