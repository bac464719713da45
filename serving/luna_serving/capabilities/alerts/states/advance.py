"""How the alerts of a rule change at an evaluation: Prometheus' semantics (rules/alerting.go, `AlertingRule.Eval`).

Pure: the time, the elements and the makers of identifiers are arguments, so any two processes that evaluate the same
rule at the same time write the same.
"""

import enum
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from luna_serving.capabilities.alerts.rules.holds import Holds


class State(enum.Enum):
    """Of an alert. An alert that is neither is not kept."""

    PENDING = "pending"
    FIRING = "firing"


class Change(enum.Enum):
    """What subscribers and receivers hear of."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"
    """It was firing."""
    INACTIVE = "inactive"
    """It was pending, and never fired."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element of the rule's vector, as an alert."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class AlertState:
    """An alert that is pending or firing, or, in a transition, has just ended."""

    id: uuid.UUID
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    state: State
    value: float
    active_at_ms: int
    fired_at_ms: int | None = None
    keep_firing_since_ms: int | None = None
    """Since when its condition is false, while `keep_firing_for` holds it."""
    resolved_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """A change, with the alert after it."""

    change: Change
    fingerprint: bytes
    alert: AlertState


@dataclass(frozen=True, slots=True)
class Advanced:
    """The alerts after an evaluation, and what changed."""

    states: Mapping[bytes, AlertState]
    transitions: tuple[Transition, ...]


def advance(
    holds: Holds,
    states: Mapping[bytes, AlertState],
    elements: Mapping[bytes, Element],
    at_ms: int,
    new_id: Callable[[], uuid.UUID],
) -> Advanced:
    """Advance the alerts of a rule to an evaluation.

    Args:
        holds: of the rule.
        states: the alerts after the evaluation before, by the fingerprint of their labels.
        elements: for which the condition is true now, by fingerprint.
        at_ms: the time of this evaluation, in milliseconds since 1970.
        new_id: makes the identifier of a new alert.
    """
    after: dict[bytes, AlertState] = {}
    transitions: list[Transition] = []
    for fingerprint, element in elements.items():
        before = states.get(fingerprint)
        now, change = _true(holds, before, element, at_ms, new_id)
        after[fingerprint] = now
        if change is not None:
            transitions.append(Transition(change, fingerprint, now))
    for fingerprint, before in states.items():
        if fingerprint in elements:
            continue
        kept = _false(holds, before, at_ms)
        if kept is not None:
            after[fingerprint] = kept
            continue
        transitions.append(ended(fingerprint, before, at_ms))
    return Advanced(after, tuple(transitions))


def ended(fingerprint: bytes, alert: AlertState, at_ms: int) -> Transition:
    """The end of an alert, whatever ends it."""
    if alert.state is State.PENDING:
        return Transition(Change.INACTIVE, fingerprint, replace(alert, resolved_at_ms=at_ms))
    return Transition(Change.RESOLVED, fingerprint, replace(alert, resolved_at_ms=at_ms, keep_firing_since_ms=None))


def _true(
    holds: Holds, before: AlertState | None, element: Element, at_ms: int, new_id: Callable[[], uuid.UUID]
) -> tuple[AlertState, Change | None]:
    if before is None:
        now = AlertState(new_id(), element.labels, element.annotations, State.PENDING, element.value, at_ms)
    else:
        now = replace(before, annotations=element.annotations, value=element.value, keep_firing_since_ms=None)
    if now.state is State.PENDING and at_ms - now.active_at_ms >= holds.for_ms:
        return replace(now, state=State.FIRING, fired_at_ms=at_ms), Change.FIRING
    return now, Change.PENDING if before is None else None


def _false(holds: Holds, before: AlertState, at_ms: int) -> AlertState | None:
    """The alert whose condition is false, if it is kept firing."""
    if before.state is not State.FIRING or not holds.keep_firing_for_ms:
        return None
    since = before.keep_firing_since_ms if before.keep_firing_since_ms is not None else at_ms
    return replace(before, keep_firing_since_ms=since) if at_ms - since < holds.keep_firing_for_ms else None
