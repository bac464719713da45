"""The same model in statsmodels, whose numbers stand for KFAS, Stata and MATLAB (it is tested against them)."""

import numpy as np
from statsmodels.tsa.statespace.initialization import Initialization
from statsmodels.tsa.statespace.kalman_filter import FilterResults, KalmanFilter
from statsmodels.tsa.statespace.kalman_smoother import KalmanSmoother, SmootherResults

from luna_serving.statespace.initial import ApproximateDiffuse, Diffuse
from luna_serving.statespace.models import Model


def statsmodels_filter(model: Model, y: np.ndarray) -> FilterResults:
    return prepared(KalmanFilter(k_endog=1, k_states=model.states), model, y).filter()


def statsmodels_smoother(model: Model, y: np.ndarray) -> SmootherResults:
    return prepared(KalmanSmoother(k_endog=1, k_states=model.states), model, y).smooth()


def prepared(peer: KalmanFilter, model: Model, y: np.ndarray) -> KalmanFilter:
    n = model.states
    # The univariate method is the one that statsmodels' exact diffuse start uses, from there on always.
    peer.set_filter_method(filter_univariate=True)
    peer.bind(np.array(y, dtype=np.float64, copy=True)[:, None])
    peer["transition"] = model.transition
    peer["design"] = model.design[None]
    peer["obs_cov"] = np.array([[model.obs_var]])
    peer["selection"] = np.eye(n)
    peer["state_cov"] = model.state_cov
    if isinstance(model.initial, Diffuse):
        peer.initialize(Initialization(n, "diffuse"))
    elif isinstance(model.initial, ApproximateDiffuse):
        peer.initialize(Initialization(n, "approximate_diffuse", approximate_diffuse_variance=model.initial.variance))
    else:
        known = Initialization(
            n, "known", constant=np.array(model.initial.mean), stationary_cov=np.array(model.initial.cov)
        )
        peer.initialize(known)
    return peer
