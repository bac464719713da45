"""The same model in statsmodels, whose numbers stand for KFAS, Stata and MATLAB (it is tested against them)."""

import numpy as np
from statsmodels.tsa.statespace.initialization import Initialization
from statsmodels.tsa.statespace.kalman_filter import FilterResults, KalmanFilter
from statsmodels.tsa.statespace.kalman_smoother import KalmanSmoother, SmootherResults

from luna_serving.engines.statespace.model.initial import ApproximateDiffuse, Diffuse
from luna_serving.engines.statespace.model.model import Model


def statsmodels_filter(model: Model, y: np.ndarray) -> FilterResults:
    return prepared(
        KalmanFilter(k_endog=model.observed, k_states=model.states, k_posdef=model.shocks), model, y
    ).filter()


def statsmodels_smoother(model: Model, y: np.ndarray) -> SmootherResults:
    return prepared(
        KalmanSmoother(k_endog=model.observed, k_states=model.states, k_posdef=model.shocks), model, y
    ).smooth()


def prepared(peer: KalmanFilter, model: Model, y: np.ndarray) -> KalmanFilter:
    n = model.states
    # The univariate method is the one that statsmodels' exact diffuse start uses, from there on always.
    peer.set_filter_method(filter_univariate=True)
    peer.bind(np.array(y, dtype=np.float64, copy=True).reshape(len(y), model.observed))
    for name in ("transition", "design", "obs_cov", "state_cov", "selection"):
        matrix = getattr(model, name)
        peer[name] = np.moveaxis(matrix, 0, -1) if matrix.ndim == 3 else matrix
    for name in ("obs_intercept", "state_intercept"):
        vector = getattr(model, name)
        peer[name] = vector.T if vector.ndim == 2 else vector[:, None]
    if isinstance(model.initial, Diffuse):
        peer.initialize(Initialization(n, "diffuse"))
    elif isinstance(model.initial, ApproximateDiffuse):
        peer.initialize(Initialization(n, "approximate_diffuse", approximate_diffuse_variance=model.initial.variance))
    else:
        known = Initialization(n, "known", constant=model.start.mean, stationary_cov=model.start.cov)
        peer.initialize(known)
    return peer
