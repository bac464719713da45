"""`luna alerts`: lists rules and alerts, and imports rule files, over HTTP."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from luna_serving.commands.calls import Calls


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a command."""

    facts: Any
    """For `--json`."""
    text: str
    """For people."""


class AlertCommands:
    """The commands."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def rules(self) -> Answer:
        """List rules with their state."""
        found = self._all("/alerts/rules", "items")
        return Answer(found, "\n".join(map(rule_line, found)) or "No rules.")

    def active(self) -> Answer:
        """List alerts that are pending or firing."""
        found = self._all("/alerts/active", "alerts")
        return Answer(found, "\n".join(map(alert_line, found)) or "No alerts.")

    def put(self, rules: Sequence[Mapping[str, Any]]) -> Answer:
        """Create rules; those of the same group, name and labels are replaced."""
        known: dict[tuple[Any, ...], list[str]] = defaultdict(list)
        for each in self._all("/alerts/rules", "items"):
            known[_identity(each)].append(each["id"])
        made, lines = [], []
        for rule in rules:
            ids = known[_identity(rule)]
            if ids:
                answer = self._calls.json("PUT", f"/alerts/rules/{ids.pop(0)}", json=rule)
            else:
                answer = self._calls.json("POST", "/alerts/rules", json=rule)
            made.append(answer)
            lines.append(rule_line(answer))
        return Answer(made, "\n".join([*lines, f"{len(made)} rules imported."]))

    def _all(self, path: str, member: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = self._calls.json("GET", path, params={"limit": "1000", **({"cursor": cursor} if cursor else {})})
            found += page[member]
            cursor = page["next_cursor"]
            if cursor is None:
                return found


def rule_line(rule: Mapping[str, Any]) -> str:
    """A rule in one line; an error in a second one."""
    row = f"{rule['id']}  {rule['state']:<8}  {rule['health']:<7}  {rule['name']:<24}  {rule['query']}"
    return f"{row}\n    {rule['last_error']}" if rule["last_error"] else row


def alert_line(alert: Mapping[str, Any]) -> str:
    """An alert in one line."""
    labels = " ".join(f"{name}={value}" for name, value in alert["labels"].items() if name != "alertname")
    silenced = " (silenced)" if alert.get("silenced") else ""
    return f"{alert['id']}  {alert['state']:<8}  {alert['name']:<24}  {alert['value']}  {labels}{silenced}".rstrip()


def _identity(rule: Mapping[str, Any]) -> tuple[Any, ...]:
    labels = tuple(sorted((rule.get("labels") or {}).items()))
    return rule.get("group", "default"), rule["name"], labels
