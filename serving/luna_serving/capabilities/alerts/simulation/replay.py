"""Advances the alerts of a rule over a range of evaluations. Pure."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from luna_serving.capabilities.alerts.evaluation.elements import EvaluationFailed, elements_of, no_data_element
from luna_serving.capabilities.alerts.rules.rule import Rule
from luna_serving.capabilities.alerts.states.advance import AlertState, Change, Element, State, advance
from luna_serving.engines.promql.api import Matrix, Vector

NO_ID = uuid.UUID(int=0)


@dataclass(frozen=True, slots=True)
class Firing:
    """One alert that fired."""

    labels: Mapping[str, str]
    active_at_ms: int
    fired_at_ms: int
    resolved_at_ms: int | None
    """None: it fires at the end."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a rule would have done."""

    firings: tuple[Firing, ...]
    evaluations: int
    flaps: int
    """Firings of an alert that had fired before in the range."""


def replay(
    rule: Rule, times_ms: Sequence[int], vectors: Mapping[int, Vector], has_data: frozenset[int] | None, most: int
) -> Replayed:
    """Evaluate a rule at each time.

    Args:
        rule: which.
        times_ms: of the evaluations, ascending.
        vectors: the results that are not empty, by time.
        has_data: the times at which a selector of the rule finds samples; None: at all.
        most: alerts that a rule may have.
    """
    states: Mapping[bytes, AlertState] = {}
    open_firings: dict[bytes, Firing] = {}
    firings: list[Firing] = []
    fired: dict[bytes, int] = {}
    for at_ms in times_ms:
        elements = _elements(rule, vectors.get(at_ms), has_data is None or at_ms in has_data, states, most)
        if elements is None:
            continue
        advanced = advance(rule.holds, states, elements, at_ms, lambda: NO_ID)
        states = advanced.states
        for each in advanced.transitions:
            if each.change is Change.FIRING:
                fired[each.fingerprint] = fired.get(each.fingerprint, 0) + 1
                open_firings[each.fingerprint] = Firing(each.alert.labels, each.alert.active_at_ms, at_ms, None)
            elif each.change is Change.RESOLVED:
                firings.append(replace(open_firings.pop(each.fingerprint), resolved_at_ms=at_ms))
    still = [open_firings[key] for key, state in states.items() if state.state is State.FIRING]
    whole = sorted([*firings, *still], key=lambda each: (each.fired_at_ms, sorted(each.labels.items())))
    return Replayed(tuple(whole), len(times_ms), sum(count - 1 for count in fired.values()))


def vectors_of(matrix: Matrix) -> dict[int, Vector]:
    """The result of a range query as one vector per step that has elements."""
    labels: dict[int, list[Mapping[str, str]]] = {}
    values: dict[int, list[float]] = {}
    for series in matrix.series:
        for at_ms, value in zip(series.timestamps.tolist(), series.values.tolist(), strict=True):
            labels.setdefault(at_ms, []).append(series.labels)
            values.setdefault(at_ms, []).append(value)
    return {at_ms: _vector(at_ms, of, values[at_ms]) for at_ms, of in labels.items()}


def _vector(at_ms: int, labels: Sequence[Mapping[str, str]], values: Sequence[float]) -> Vector:
    return Vector(at_ms, tuple(labels), np.array(values))


def _elements(
    rule: Rule,
    vector: Vector | None,
    has_data: bool,
    states: Mapping[bytes, AlertState],
    most: int,
) -> Mapping[bytes, Element] | None:
    """The elements of one evaluation; None where the alerts stay as they are."""
    if vector is not None:
        try:
            return elements_of(rule, vector, most, "")
        except EvaluationFailed:
            return None
    if has_data or rule.no_data == "resolve":
        return {}
    if rule.no_data == "keep":
        return None
    key, element = no_data_element(rule, "")
    return {k: Element(s.labels, s.annotations, s.value) for k, s in states.items()} | {key: element}
