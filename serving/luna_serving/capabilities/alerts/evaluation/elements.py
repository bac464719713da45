"""From a result of PromQL to the elements of a rule: labels, annotations and fingerprints."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from luna_serving.capabilities.alerts.rules.rule import Rule
from luna_serving.capabilities.alerts.states.advance import Element
from luna_serving.capabilities.alerts.templates.template import Values
from luna_serving.engines.promql.api import NAME_LABEL, Scalar, Vector

ALERT_NAME: Final = "alertname"
NO_DATA_LABEL: Final = "luna_no_data"
NO_LABELS: Final[Mapping[str, str]] = {}


class EvaluationFailed(Exception):
    """A rule cannot be evaluated; its alerts stay as they are. The message is its `last_error`."""


def fingerprint(labels: Mapping[str, str]) -> bytes:
    """Identifies an alert of a rule by its labels."""
    digest = sha256()
    for name, value in sorted(labels.items()):
        digest.update(name.encode(errors="replace") + b"\xff" + value.encode(errors="replace") + b"\xff")
    return digest.digest()


def elements_of(rule: Rule, result: Any, most: int, external_url: str) -> dict[bytes, Element]:  # noqa: ANN401
    """The elements of an instant result, by fingerprint.

    Args:
        rule: whose labels and annotations they get.
        result: a `Vector` or `Scalar` of the engine.
        most: alerts that a rule may have.
        external_url: for templates.

    Raises:
        EvaluationFailed: too many, two with the same labels, or the result is no vector.
    """
    match result:
        case Vector():
            pairs: Sequence[tuple[Mapping[str, str], float]] = tuple(
                zip(result.labels, result.values.tolist(), strict=True)
            )
        case Scalar():
            pairs = ((NO_LABELS, float(result.value)),)
        case _:
            raise EvaluationFailed(f"The query gives a {type(result).__name__.lower()}: a rule needs a vector.")
    if len(pairs) > most:
        raise EvaluationFailed(f"The query gives {len(pairs)} alerts; a rule may have {most}. Aggregate, or filter.")
    found: dict[bytes, Element] = {}
    for labels, value in pairs:
        element = element_of(rule, labels, value, external_url)
        key = fingerprint(element.labels)
        if key in found:
            raise EvaluationFailed("vector contains metrics with the same labelset after applying alert labels")
        found[key] = element
    return found


def element_of(rule: Rule, labels: Mapping[str, str], value: float, external_url: str) -> Element:
    """One element: the series' labels without its name, the rule's, and `alertname`."""
    values = Values(labels, value, NO_LABELS, external_url)
    rendered = {name: template.render(values) for name, template in rule.labels.items()}
    merged = {n: v for n, v in labels.items() if n != NAME_LABEL} | rendered | {ALERT_NAME: rule.name}
    return Element(
        {name: text for name, text in merged.items() if text},
        {name: template.render(values) for name, template in rule.annotations.items()},
        value,
    )


def no_data_element(rule: Rule, external_url: str) -> tuple[bytes, Element]:
    """The alert of a rule with `no_data: alert` whose selectors find nothing."""
    element = element_of(rule, {NO_DATA_LABEL: "true"}, float("nan"), external_url)
    return fingerprint(element.labels), element
