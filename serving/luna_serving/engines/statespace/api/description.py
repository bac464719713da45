"""Models, their kinds and checks, results, saved states, deadlines and what a cost estimate asks. Loads no JAX."""

from luna_serving.engines.statespace.fit.results import Method, NoClosedForm, SeriesFit
from luna_serving.engines.statespace.fit.search_space import default_parameters
from luna_serving.engines.statespace.fit.stop import Stop
from luna_serving.engines.statespace.kinds import KINDS
from luna_serving.engines.statespace.kinds.parameters import NotEstimable, free_parameters
from luna_serving.engines.statespace.kinds.polynomial_trend import LARGEST_POWER
from luna_serving.engines.statespace.model.checks import LARGEST, ModelError
from luna_serving.engines.statespace.model.initial import (
    ApproximateDiffuse,
    Blocks,
    Diffuse,
    Initial,
    Known,
    Stationary,
)
from luna_serving.engines.statespace.model.model import MAX_OBSERVED, MAX_STATES, Model
from luna_serving.engines.statespace.model.observations import collapses
from luna_serving.engines.statespace.process.deadline import Clock, OutOfTime, check, never
from luna_serving.engines.statespace.results.disturbances import Disturbances, obs_disturbances, state_disturbances
from luna_serving.engines.statespace.results.quality import warnings_of
from luna_serving.engines.statespace.results.refusals import PlanError, Unanswered
from luna_serving.engines.statespace.results.saved import Digits, Saved
from luna_serving.engines.statespace.results.series import (
    Algorithm,
    BatchReport,
    Convention,
    ForecastResult,
    SeriesResult,
    SignalMoments,
)
from luna_serving.engines.statespace.results.signals import filtered_signal, smoothed_signal
from luna_serving.engines.statespace.running.prepared import needs_square_root
from luna_serving.engines.statespace.simulation.simulate import Paths, pinned
from luna_serving.engines.statespace.soundness.plain import is_plain

__all__ = [
    "KINDS",
    "LARGEST",
    "LARGEST_POWER",
    "MAX_OBSERVED",
    "MAX_STATES",
    "Algorithm",
    "ApproximateDiffuse",
    "BatchReport",
    "Blocks",
    "Clock",
    "Convention",
    "Diffuse",
    "Digits",
    "Disturbances",
    "ForecastResult",
    "Initial",
    "Known",
    "Method",
    "Model",
    "ModelError",
    "NoClosedForm",
    "NotEstimable",
    "OutOfTime",
    "Paths",
    "PlanError",
    "Saved",
    "SeriesFit",
    "SeriesResult",
    "SignalMoments",
    "Stationary",
    "Stop",
    "Unanswered",
    "check",
    "collapses",
    "default_parameters",
    "filtered_signal",
    "free_parameters",
    "is_plain",
    "needs_square_root",
    "never",
    "obs_disturbances",
    "pinned",
    "smoothed_signal",
    "state_disturbances",
    "warnings_of",
]
