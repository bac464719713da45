"""The peers, each asked in the fastest way that its public interface has for the task.

Their imports stand inside: a peer that is not installed, or cannot be loaded here, is left out and named.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import numpy as np

from .workload import MODEL, START_COV, START_MEAN, Answer, Contender, Floats, Prepared, Task

# "series": loops over them. "periods": takes all series at once, so fewer of them would cost more a step.
Shortens = Literal["series", "periods"] | None
TRANSITION, DESIGN = MODEL.transition, MODEL.design
OBS_COV, STATE_COV = MODEL.obs_cov, MODEL.disturbance_cov


class Statsmodels:
    """A compiled filter a series, which keeps only what the task asks for.

    Each series has its own: bound to a second one, statsmodels 0.15 goes on filtering the first. To make one takes
    some 50 µs. The univariate method took 7 % less than the conventional one where nothing is missing and 15 % more
    with gaps (10,000 periods, processor time). Where the covariance converges, it is no longer computed.
    """

    name = "statsmodels"
    shortens: Shortens = "series"

    def __init__(self) -> None:
        from statsmodels.tsa.statespace import kalman_filter

        self._module = kalman_filter

    def prepare(self, task: Task, y: Floats) -> Prepared:
        """Series as they are."""
        k, full = self._module, task is Task.FULL
        kept = k.MEMORY_NO_FILTERED | k.MEMORY_NO_LIKELIHOOD if full else k.MEMORY_NO_FILTERED_MEAN
        conserved = k.MEMORY_CONSERVE & ~kept
        matrices = {"transition": TRANSITION, "design": DESIGN, "obs_cov": OBS_COV, "state_cov": STATE_COV}

        def filtered(row: Floats) -> Any:  # noqa: ANN401
            model = k.KalmanFilter(k_endog=1, k_states=2, selection=np.eye(2), **matrices)
            model.initialize_known(START_MEAN, START_COV)
            model.set_filter_method(filter_univariate=task is not Task.GAPS)
            model.set_conserve_memory(conserved)
            model.bind(row)
            return model.filter()

        def one(results: Any, place: int) -> Answer:  # noqa: ANN401
            found = results[place]
            means = found.filtered_state.T
            return Answer(means, np.moveaxis(found.filtered_state_cov, -1, 0), found.llf_obs) if full else Answer(means)

        return Prepared(lambda: [filtered(row) for row in y], one)


class Simdkalman:
    """All series at once, a NumPy call for every operation of every period."""

    name = "simdkalman"
    shortens: Shortens = "periods"

    def __init__(self) -> None:
        import simdkalman

        self._filter = simdkalman.KalmanFilter(TRANSITION, STATE_COV, DESIGN, OBS_COV)

    def prepare(self, task: Task, y: Floats) -> Prepared:
        """One array."""
        full = task is Task.FULL

        def run() -> Any:  # noqa: ANN401
            return self._filter.compute(
                y,
                0,
                initial_value=START_MEAN,
                initial_covariance=START_COV,
                smoothed=False,
                filtered=True,
                observations=False,
                covariances=full,
                log_likelihood=full,
            )

        def one(result: Any, place: int) -> Answer:  # noqa: ANN401
            states = result.filtered.states
            if not full:
                return Answer(states.mean[place])
            # It leaves out ½ ln 2π of each observation.
            constant = 0.5 * np.log(2 * np.pi) * y.shape[1]
            return Answer(states.mean[place], states.cov[place], result.log_likelihood[place] - constant)

        return Prepared(run, one)


class Pykalman:
    """A Python loop over series and periods. Covariances and likelihood are two calls, and each filters."""

    name = "pykalman"
    shortens: Shortens = "series"

    def __init__(self) -> None:
        import pykalman

        self._filter = pykalman.KalmanFilter(
            transition_matrices=TRANSITION,
            observation_matrices=DESIGN,
            transition_covariance=STATE_COV,
            observation_covariance=OBS_COV,
            initial_state_mean=START_MEAN,
            initial_state_covariance=START_COV,
        )

    def prepare(self, task: Task, y: Floats) -> Prepared:
        """Masked arrays [T, 1]; plain ones where nothing is missing."""
        rows = [row[:, None] for row in (np.ma.masked_invalid(y) if task is Task.GAPS else y)]
        if task is not Task.FULL:
            return Prepared(lambda: [self._filter.filter(row)[0] for row in rows], lambda all_, at: Answer(all_[at]))
        return Prepared(
            lambda: [(*self._filter.filter(row), self._filter.loglikelihood(row)) for row in rows],
            lambda all_, at: Answer(*all_[at]),
        )


class Filterpy:
    """A Python loop over series and periods: its `batch_filter`, and for the likelihood its own loop's two calls."""

    name = "filterpy"
    shortens: Shortens = "series"

    def __init__(self) -> None:
        from filterpy.kalman import KalmanFilter

        self._class = KalmanFilter

    def _new(self) -> Any:  # noqa: ANN401
        one = self._class(dim_x=2, dim_z=1)
        one.x, one.P = START_MEAN[:, None].copy(), START_COV.copy()
        one.F, one.H, one.Q, one.R = TRANSITION, DESIGN, STATE_COV, OBS_COV
        return one

    def prepare(self, task: Task, y: Floats) -> Prepared:
        """Lists of numbers, None where missing."""
        rows = [[None if np.isnan(value) else value for value in row] for row in y]
        if task is Task.FULL:
            return Prepared(lambda: [self._full(row) for row in rows], lambda all_, at: Answer(*all_[at]))
        return Prepared(
            # `update_first`: the start is that of the first observation, not one transition earlier.
            lambda: [self._new().batch_filter(row, update_first=True)[0] for row in rows],
            lambda all_, at: Answer(all_[at][:, :, 0]),
        )

    def _full(self, row: Sequence[float]) -> tuple[Floats, Floats, float]:
        one, loglike = self._new(), 0.0
        means, covs = np.empty((len(row), 2)), np.empty((len(row), 2, 2))
        for t, value in enumerate(row):
            one.update(value)
            means[t], covs[t] = one.x[:, 0], one.P
            loglike += one.log_likelihood
            one.predict()
        return means, covs, loglike


class Dynamax:
    """Its filter under `vmap` and `jit` in float64, compiled before. A diagonal obs_cov is its faster way.

    It has no missing values. The same means come from a design that is zero, and a y that is zero, where one is.
    """

    name = "dynamax"
    shortens: Shortens = "periods"

    def __init__(self) -> None:
        import jax
        from dynamax.linear_gaussian_ssm import lgssm_filter
        from dynamax.linear_gaussian_ssm.inference import make_lgssm_params

        def filtered(y: Any, design: Any) -> Any:  # noqa: ANN401
            obs_vars = np.diagonal(OBS_COV)
            params = make_lgssm_params(START_MEAN, START_COV, TRANSITION, STATE_COV, design, obs_vars)
            return lgssm_filter(params, y)

        def means(y: Any, design: Any) -> Any:  # noqa: ANN401
            return filtered(y, design).filtered_means

        def full(y: Any) -> Any:  # noqa: ANN401
            found = filtered(y, DESIGN)
            return found.filtered_means, found.filtered_covariances, found.marginal_loglik

        self._put = jax.device_put
        self._wait = jax.block_until_ready
        self._means = jax.jit(jax.vmap(lambda y: means(y, DESIGN)))
        self._gaps = jax.jit(jax.vmap(means))
        self._full = jax.jit(jax.vmap(full))

    def prepare(self, task: Task, y: Floats) -> Prepared:
        """Arrays that are JAX's already."""
        seen = ~np.isnan(y)
        data = self._put(np.where(seen, y, 0.0)[:, :, None])
        if task is Task.FULL:
            run = self._full
            return Prepared(
                lambda: self._wait(run(data)),
                lambda parts, at: Answer(*(np.asarray(part[at]) for part in parts)),
            )
        if task is Task.MEANS:
            call: Callable[[], Any] = lambda: self._wait(self._means(data))  # noqa: E731
        else:
            designs = self._put(np.where(seen[:, :, None, None], DESIGN, 0.0))
            call = lambda: self._wait(self._gaps(data, designs))  # noqa: E731
        return Prepared(call, lambda all_, at: Answer(np.asarray(all_[at])))


PEERS: Final[tuple[type[Contender], ...]] = (Statsmodels, Simdkalman, Dynamax, Pykalman, Filterpy)
NAMES: Final = tuple(peer.name for peer in PEERS)


def load(wanted: Sequence[str]) -> tuple[list[Contender], dict[str, str]]:
    """The peers that can run here, and why the others cannot."""
    loaded: list[Contender] = []
    left_out: dict[str, str] = {}
    for peer in PEERS:
        if peer.name not in wanted:
            continue
        try:
            loaded.append(peer())
        # What an old package meets in a new one: a module that is gone, a name that is gone.
        except (ImportError, AttributeError) as error:
            left_out[peer.name] = str(error).splitlines()[0]
    return loaded, left_out
