"""What other packages import of the PromQL engine."""

from luna_serving.engines.promql.api.queries import (
    LOOKBACK_MS,
    Query,
    RangeResult,
    evaluate_instant,
    evaluate_range,
    parse,
    parse_selector,
)
from luna_serving.engines.promql.errors import (
    EvaluationError,
    LimitExceeded,
    ParseError,
    Position,
    PromqlError,
    UnsupportedError,
)
from luna_serving.engines.promql.extensions import ArgumentType, Extension, ExtensionCall, ExtensionSeries
from luna_serving.engines.promql.limits import Limits, ParseLimits
from luna_serving.engines.promql.matchers import Matcher, MatchOperator, match_all
from luna_serving.engines.promql.results import InstantResult, Matrix, Scalar, String, Vector
from luna_serving.engines.promql.series import NAME_LABEL, STALE, STALE_BITS, Series, is_stale
from luna_serving.engines.promql.source import Selection, Source
from luna_serving.engines.promql.syntax.durations import duration_seconds

__all__ = [
    "LOOKBACK_MS",
    "NAME_LABEL",
    "STALE",
    "STALE_BITS",
    "ArgumentType",
    "EvaluationError",
    "Extension",
    "ExtensionCall",
    "ExtensionSeries",
    "InstantResult",
    "LimitExceeded",
    "Limits",
    "MatchOperator",
    "Matcher",
    "Matrix",
    "ParseError",
    "ParseLimits",
    "Position",
    "PromqlError",
    "Query",
    "RangeResult",
    "Scalar",
    "Selection",
    "Series",
    "Source",
    "String",
    "UnsupportedError",
    "Vector",
    "duration_seconds",
    "evaluate_instant",
    "evaluate_range",
    "is_stale",
    "match_all",
    "parse",
    "parse_selector",
]
