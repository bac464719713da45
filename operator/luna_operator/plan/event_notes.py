"""Which changes of conditions are posted as Events: each change once, with the condition's message."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class EventNote:
    """Type, reason and note of one Event."""

    type: Literal["Normal", "Warning"]
    reason: str
    note: str


# Per condition: the reasons of a change to True and to False, and whether the first is a warning.
_POSTED: dict[str, tuple[str, str, bool]] = {
    "Suspended": ("Suspended", "Resumed", False),
    "Expired": ("Expired", "Extended", True),
    "QuotaExhausted": ("QuotaExhausted", "QuotaRestored", True),
}


def event_notes(before: dict[str, Any], after: dict[str, Any]) -> list[EventNote]:
    """The Events for the difference between two statuses."""
    old = {condition["type"]: condition for condition in before.get("conditions") or ()}
    found = []
    for condition in after["conditions"]:
        kind, status = condition["type"], condition["status"]
        was = old.get(kind, {})
        if kind == "Ready":
            found += _ready(was, condition)
        elif kind in _POSTED and status != was.get("status", "False"):
            on, off, warning = _POSTED[kind]
            level: Literal["Normal", "Warning"] = "Warning" if warning and status == "True" else "Normal"
            found.append(EventNote(level, on if status == "True" else off, condition["message"]))
    return found


def _ready(was: dict[str, Any], now: dict[str, Any]) -> list[EventNote]:
    """One Event when an obstacle appears or is replaced; suspension and expiry have Events of their own."""
    if now["status"] == "True":
        return [EventNote("Normal", "Ready", now["message"])] if was.get("status") == "False" else []
    if now["reason"] in {"Suspended", "Expired"} or now["reason"] == was.get("reason"):
        return []
    return [EventNote("Warning", now["reason"], now["message"])]
