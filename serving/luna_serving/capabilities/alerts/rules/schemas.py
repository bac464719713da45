"""The wire schemas of rules."""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, RootModel, create_model

from luna_serving.capabilities.alerts.rules.durations import milliseconds
from luna_serving.wire.strict import StrictModel

MOST_LABELS: Final = 64
LEAST_INTERVAL_MS: Final = 1_000
LONGEST_INTERVAL_MS: Final = 86_400_000
DURATION: Final = "As Prometheus writes it (`5m`, `1h30m`), or seconds."


def _duration(value: str | float) -> str | float:
    milliseconds(value)
    return value


def _interval(value: str | float) -> str | float:
    if not LEAST_INTERVAL_MS <= milliseconds(value) <= LONGEST_INTERVAL_MS:
        raise ValueError("Must lie between 1s and 1d.")
    return value


def _name(value: str) -> str:
    if not value.isprintable():
        raise ValueError("Must consist of printable characters.")
    return value


def _labels(value: dict[str, str]) -> dict[str, str]:
    for name, text in value.items():
        if not name or "\0" in name + text:
            raise ValueError("Names must not be empty, and nothing may hold the character U+0000.")
        if name == "__name__":
            raise ValueError("`__name__` cannot be a label here: the name of the metric is `metric`.")
    return value


Duration = Annotated[str | float, AfterValidator(_duration)]
Interval = Annotated[str | float, AfterValidator(_interval)]
Name = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_name)]
Texts = Annotated[
    dict[
        Annotated[str, Field(max_length=255)],
        Annotated[str, Field(max_length=4_096)],
    ],
    Field(max_length=MOST_LABELS),
    AfterValidator(_labels),
]

_FIELDS: dict[str, Any] = {
    "name": (Name, Field(description="The label `alertname`.", examples=["hot"])),
    "group": (Name | None, Field(None, description="The group in `/prometheus/api/v1/rules`; by default `default`.")),
    "interval": (Interval | None, Field(None, description=f"Between evaluations; 15s by default. {DURATION}")),
    "for": (Duration | None, Field(None, description=f"True for so long, an alert fires; 0s by default. {DURATION}")),
    "keep_firing_for": (
        Duration | None,
        Field(None, description=f"False for so long, an alert that fired is resolved. {DURATION}"),
    ),
    "query_offset": (
        Duration | None,
        Field(None, description=f"The query asks for so long ago: for samples that come late. {DURATION}"),
    ),
    "severity": (Name | None, Field(None, description="The label `severity`.", examples=["warning"])),
    "annotations": (Texts | None, Field(None, description="Texts of each alert; templates.")),
    "no_data": (
        Literal["keep", "resolve", "alert"] | None,
        Field(None, description="While no selector finds samples: alerts stay (default), end, or one fires."),
    ),
    "webhook": (
        str | None,
        Field(None, description="Gets a signed message for each change.", examples=["https://example.com/hook"]),
    ),
}
# `for` is no name of Python, so the class cannot be written out.
_Common: Any = create_model("_Common", __base__=StrictModel, **_FIELDS)


class ExpressionRule(_Common):
    """A rule as Prometheus has it."""

    kind: Literal["expr"] | None = None
    expr: str = Field(
        min_length=1,
        max_length=16_384,
        description="PromQL. Each element of its vector is an alert.",
        examples=["avg(cpu) > 0.9"],
    )
    labels: Texts | None = Field(None, description="Labels of each alert; templates.")


class _Metric(_Common):
    metric: str = Field(min_length=1, max_length=255, description="The name of a metric.", examples=["cpu"])
    labels: Texts | None = Field(None, description="The series that have these labels; all by default.")
    duration: Duration | None = Field(None, description=f"The same as `for`. {DURATION}")


class ThresholdRule(_Metric):
    """A metric compared with a number."""

    kind: Literal["threshold"] | None = None
    condition: Literal[">", ">=", "<", "<=", "==", "!="]
    threshold: float = Field(allow_inf_nan=False, examples=[0.9])


class AnomalyRule(_Metric):
    """A metric that surprises a model, which is learnt from its history."""

    kind: Literal["anomaly"]
    false_alarms_per_week: float = Field(
        1.0, gt=0, le=1_000, description="How often a series that behaves as ever may fire, on average."
    )


EXAMPLES: Final[Any] = [
    {
        "name": "hot",
        "expr": "avg by (host) (cpu) > 0.9",
        "for": "5m",
        "labels": {"severity": "page"},
        "annotations": {"summary": "{{ $labels.host }} is at {{ $value | humanizePercentage }}"},
    },
    {"name": "hot", "metric": "cpu", "condition": ">", "threshold": 0.9, "duration": "5m", "severity": "warning"},
    {"name": "odd", "metric": "cpu", "kind": "anomaly", "false_alarms_per_week": 1},
]


class RuleDocument(RootModel[ExpressionRule | ThresholdRule | AnomalyRule]):
    """A rule, in one of three forms."""

    model_config = ConfigDict(json_schema_extra={"examples": EXAMPLES})


FORMS: Final[dict[str, type[StrictModel]]] = {
    "expr": ExpressionRule,
    "threshold": ThresholdRule,
    "anomaly": AnomalyRule,
}
