"""A rule as the evaluation reads it: parsed, checked, with defaults."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from luna_serving.capabilities.alerts.rules.durations import milliseconds
from luna_serving.capabilities.alerts.rules.holds import Holds
from luna_serving.capabilities.alerts.templates.template import Template, parse_template

INTERVAL: Final = "15s"
GROUP: Final = "default"
# Names that PromQL reads as numbers.
_NUMBERS: Final = frozenset({"nan", "inf"})
_PLAIN_METRIC: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
_PLAIN_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule."""

    id: uuid.UUID
    account_id: int
    revision: uuid.UUID
    name: str
    kind: str
    """`expr`, `threshold` or `anomaly`."""
    query: str
    """PromQL: whose elements are alerts, or for an anomaly rule the series that it watches."""
    interval_ms: int
    holds: Holds
    query_offset_ms: int
    labels: Mapping[str, Template]
    annotations: Mapping[str, Template]
    no_data: str
    webhook: str | None
    group: str
    false_alarms_per_week: float


def rule_of(rule_id: uuid.UUID, account_id: int, revision: uuid.UUID, document: Mapping[str, Any]) -> Rule:
    """A rule from its document, which was checked when it was put.

    Raises:
        ValueError: a document that a release no longer reads; names what is wrong.
    """
    kind = kind_of(document)
    labels = document.get("labels") or {} if kind == "expr" else {}
    if "severity" in document:
        labels = {**labels, "severity": document["severity"]}
    return Rule(
        id=rule_id,
        account_id=account_id,
        revision=revision,
        name=document["name"],
        kind=kind,
        query=query_of(document),
        interval_ms=milliseconds(document.get("interval", INTERVAL)),
        holds=Holds(
            milliseconds(document.get("for", document.get("duration", 0))),
            milliseconds(document.get("keep_firing_for", 0)),
        ),
        query_offset_ms=milliseconds(document.get("query_offset", 0)),
        labels={name: parse_template(text) for name, text in labels.items()},
        annotations={name: parse_template(text) for name, text in (document.get("annotations") or {}).items()},
        no_data=document.get("no_data", "keep"),
        webhook=document.get("webhook"),
        group=document.get("group", GROUP),
        false_alarms_per_week=float(document.get("false_alarms_per_week", 1.0)),
    )


def kind_of(document: Mapping[str, Any]) -> str:
    """The form of a rule, by its members."""
    if "expr" in document or document.get("kind") == "expr":
        return "expr"
    return "anomaly" if document.get("kind") == "anomaly" else "threshold"


def query_of(document: Mapping[str, Any]) -> str:
    """The PromQL of a rule of any form."""
    match kind_of(document):
        case "expr":
            return str(document["expr"])
        case "anomaly":
            return selector(document["metric"], document.get("labels") or {})
        case _:
            of = selector(document["metric"], document.get("labels") or {})
            return f"{of} {document['condition']} {_number(document['threshold'])}"


def selector(metric: str, labels: Mapping[str, str]) -> str:
    """A vector selector of a metric whose labels have these values."""
    conditions = [
        f"{name if _PLAIN_LABEL.fullmatch(name) else quoted(name)}={quoted(value)}"
        for name, value in sorted(labels.items())
    ]
    if _PLAIN_METRIC.fullmatch(metric) and metric.lower() not in _NUMBERS:
        return f"{metric}{{{', '.join(conditions)}}}" if conditions else metric
    return f"{{{', '.join([quoted(metric), *conditions])}}}"


def quoted(text: str) -> str:
    """A text as PromQL writes it in double quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
