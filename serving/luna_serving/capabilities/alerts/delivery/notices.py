"""What a rule's webhook is sent after an evaluation: pure, and decided once, before the transaction that commits it.

A receiver hears of each change once: that an alert fires, and that one which it heard of has ended. An alert under a
silence is not sent; it is when the silence has ended and it still fires. While it fires, it is sent again at intervals.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from luna_serving.capabilities.alerts.states.advance import AlertState, Change, State, Transition


@dataclass(frozen=True, slots=True)
class Notice:
    """An alert in a message."""

    alert: AlertState
    fingerprint: bytes
    reminder: bool = False
    """The receiver has heard that it fires."""


@dataclass(frozen=True, slots=True)
class Noticed:
    """The alerts of a message, and when each firing alert was last sent."""

    notices: tuple[Notice, ...]
    notified: Mapping[uuid.UUID, int]


def notices(
    states: Mapping[bytes, AlertState],
    transitions: Sequence[Transition],
    notified: Mapping[uuid.UUID, int],
    silenced: Callable[[Mapping[str, str]], bool],
    at_ms: int,
    repeat_ms: int,
) -> Noticed:
    """Decide.

    Args:
        states: pending and firing alerts after the evaluation.
        transitions: of the evaluation.
        notified: when alerts were last sent as firing, by id; absent for those that were not.
        silenced: whether a silence holds back an alert with these labels.
        at_ms: the time of the evaluation.
        repeat_ms: after which a firing alert is sent again.
    """
    found: list[Notice] = []
    after: dict[uuid.UUID, int] = {}
    for fingerprint, alert in states.items():
        if alert.state is not State.FIRING:
            continue
        last = notified.get(alert.id)
        if last is not None:
            after[alert.id] = last
        due = last is None or at_ms - last >= repeat_ms
        if due and not silenced(alert.labels):
            found.append(Notice(alert, fingerprint, reminder=last is not None))
            after[alert.id] = at_ms
    found += [
        Notice(each.alert, each.fingerprint)
        for each in transitions
        if each.change is Change.RESOLVED and each.alert.id in notified
    ]
    return Noticed(tuple(found), after)
