"""From what an evaluation found to what is written of it. Pure."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from luna_serving.capabilities.alerts.delivery.notices import notices
from luna_serving.capabilities.alerts.delivery.payload import webhook_body
from luna_serving.capabilities.alerts.rules.rule import Rule
from luna_serving.capabilities.alerts.states.advance import Advanced, AlertState, Change, State, Transition, ended
from luna_serving.capabilities.alerts.store.records import AlertRecord
from luna_serving.capabilities.alerts.store.writing import Message, Outcome

# Prometheus takes a firing alert as valid for four times the longer of interval and resend delay.
VALID_TIMES = 4


@dataclass(frozen=True, slots=True)
class Telling:
    """How receivers hear of alerts."""

    external_url: str
    repeat_ms: int
    """After which a webhook is sent a firing alert again."""
    resend_ms: int
    """After which an Alertmanager is."""
    announces: bool
    """Whether there is an Alertmanager."""


Silenced = Callable[[Mapping[str, str]], bool]


def states_of(records: Sequence[AlertRecord]) -> dict[bytes, AlertState]:
    """Active alerts as the state machine has them."""
    return {
        each.fingerprint: AlertState(
            each.id,
            each.labels,
            each.annotations,
            State(each.state),
            each.value,
            each.active_at_ms,
            each.fired_at_ms,
            each.keep_firing_since_ms,
        )
        for each in records
    }


def outcome_of(
    rule: Rule,
    generation: int,
    secret: str | None,
    before: Sequence[AlertRecord],
    advanced: Advanced,
    at_ms: int,
    silenced: Silenced,
    telling: Telling,
    resolved_by: str | None = None,
) -> Outcome:
    """What is written of a rule whose alerts have advanced; the turn is left to the caller.

    Args:
        rule: which.
        generation: of its schedule, as it was read.
        secret: of its webhook.
        before: its active alerts before.
        advanced: after.
        at_ms: the time of the evaluation, or of what ends alerts.
        silenced: whether a silence holds back an alert.
        telling: how receivers hear of alerts.
        resolved_by: what ended alerts, if not their condition.
    """
    known = {each.id: each for each in before}
    sent = {each.id: each.notified_at_ms for each in before if each.notified_at_ms is not None}
    has_webhook = rule.webhook is not None and secret is not None
    noticed = notices(
        advanced.states if has_webhook else {},
        advanced.transitions if has_webhook else (),
        sent,
        silenced,
        at_ms,
        telling.repeat_ms,
    )
    changed = {each.alert.id: each for each in advanced.transitions}
    kept: list[AlertRecord] = []
    for fingerprint, alert in advanced.states.items():
        record = record_after(rule, fingerprint, alert, noticed.notified.get(alert.id), telling)
        if alert.id in changed or not _same(known.get(alert.id), record):
            fires_first = alert.state is State.FIRING and telling.announces and _unannounced(known.get(alert.id))
            kept.append(replace(record, announce_at_ms=at_ms if fires_first else None))
    changes, removed = [], []
    for transition in advanced.transitions:
        record = _changed(rule, transition, noticed.notified, sent, telling, resolved_by)
        changes.append(record)
        if transition.change is Change.INACTIVE:
            removed.append(transition.alert.id)
        elif transition.change is Change.RESOLVED:
            kept.append(replace(record, announce_at_ms=at_ms if telling.announces else None))
    messages = []
    if noticed.notices and rule.webhook is not None and secret is not None:
        body = webhook_body(rule.id, rule.name, noticed.notices, at_ms, telling.external_url)
        messages.append(Message(rule.id, rule.webhook, secret, body))
    return Outcome(
        rule.id,
        generation,
        kept=kept,
        removed=[each for each in removed if each in known],
        changes=changes,
        messages=messages,
    )


def all_ended(before: Sequence[AlertRecord], at_ms: int, ending: frozenset[uuid.UUID] | None = None) -> Advanced:
    """Alerts that something from outside ends: all of them, or those of these ids."""
    states = states_of(before)
    ends = {key: each for key, each in states.items() if ending is None or each.id in ending}
    return Advanced(
        {key: each for key, each in states.items() if key not in ends},
        tuple(ended(key, each, at_ms) for key, each in ends.items()),
    )


def record_after(
    rule: Rule, fingerprint: bytes, alert: AlertState, notified_at_ms: int | None, telling: Telling
) -> AlertRecord:
    """An alert as it is stored."""
    return AlertRecord(
        id=alert.id,
        rule_id=rule.id,
        name=rule.name,
        fingerprint=fingerprint,
        labels=alert.labels,
        annotations=alert.annotations,
        state=alert.state.value if alert.resolved_at_ms is None else "resolved",
        value=alert.value,
        active_at_ms=alert.active_at_ms,
        fired_at_ms=alert.fired_at_ms,
        keep_firing_since_ms=alert.keep_firing_since_ms,
        resolved_at_ms=alert.resolved_at_ms,
        resolved_by=None,
        notified_at_ms=notified_at_ms,
        valid_ms=VALID_TIMES * max(rule.interval_ms, telling.resend_ms),
        announce_at_ms=None,
    )


def _changed(
    rule: Rule,
    transition: Transition,
    notified: Mapping[uuid.UUID, int],
    sent: Mapping[uuid.UUID, int],
    telling: Telling,
    resolved_by: str | None,
) -> AlertRecord:
    alert = transition.alert
    last = notified.get(alert.id, sent.get(alert.id))
    record = record_after(rule, transition.fingerprint, alert, last, telling)
    ends = transition.change in (Change.RESOLVED, Change.INACTIVE)
    return replace(record, state=transition.change.value, resolved_by=resolved_by if ends else None)


def _same(before: AlertRecord | None, after: AlertRecord) -> bool:
    """Whether a row needs no update."""
    if before is None:
        return False
    # NaN is not equal to itself; what is announced is not the evaluation's to write.
    same_value = before.value == after.value or (before.value != before.value and after.value != after.value)
    return same_value and replace(before, value=0.0, announce_at_ms=None, resolved_by=None) == replace(
        after, value=0.0, announce_at_ms=None, resolved_by=None
    )


def _unannounced(before: AlertRecord | None) -> bool:
    return before is None or before.announce_at_ms is None
