"""What is worth an Event: a condition that changed, told once, in its own words."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class EventNote:
    """A change that people want to read of."""

    type: Literal["Normal", "Warning"]
    reason: str
    note: str


# Reasons of the change to True and to False, and whether the first is a warning.
_TOLD: dict[str, tuple[str, str, bool]] = {
    "Suspended": ("Suspended", "Resumed", False),
    "Expired": ("Expired", "Extended", True),
    "QuotaExhausted": ("QuotaExhausted", "QuotaRestored", True),
}


def event_notes(before: dict[str, Any], after: dict[str, Any]) -> list[EventNote]:
    """The difference between two statuses."""
    old = {condition["type"]: condition for condition in before.get("conditions") or ()}
    found = []
    for condition in after["conditions"]:
        kind, status = condition["type"], condition["status"]
        was = old.get(kind, {})
        if kind == "Ready":
            found += _ready(was, condition)
        elif kind in _TOLD and status != was.get("status", "False"):
            on, off, warning = _TOLD[kind]
            level: Literal["Normal", "Warning"] = "Warning" if warning and status == "True" else "Normal"
            found.append(EventNote(level, on if status == "True" else off, condition["message"]))
    return found


def _ready(was: dict[str, Any], now: dict[str, Any]) -> list[EventNote]:
    """An obstacle is told when it appears and when it gives way to another; suspension and expiry speak themselves."""
    if now["status"] == "True":
        return [EventNote("Normal", "Ready", now["message"])] if was.get("status") == "False" else []
    if now["reason"] in {"Suspended", "Expired"} or now["reason"] == was.get("reason"):
        return []
    return [EventNote("Warning", now["reason"], now["message"])]
