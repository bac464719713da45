"""What a validator in a child sends, and how its parent reads it: the child is not trusted."""

from collections.abc import Mapping
from typing import Any, Final

from luna_serving.capabilities.datasets.validation.findings import Finding, Rule

_LONGEST_TEXT: Final = 2_000


def finding_message(finding: Finding) -> dict[str, Any]:
    """A finding as a message; the parent knows the rule's severity and remedy."""
    sent = finding.to_json()
    return {"finding": {k: v for k, v in sent.items() if k not in ("severity", "remedy") and v is not None}}


def finding_of(message: Mapping[str, Any], rules: Mapping[str, Rule]) -> Finding | None:
    """The finding in a message; None if it has none that makes sense."""
    sent = message.get("finding")
    if not isinstance(sent, dict) or not isinstance(sent.get("id"), str) or sent["id"] not in rules:
        return None
    rule = rules[sent["id"]]
    paths = sent.get("paths")
    return Finding(
        id=rule.id,
        severity=rule.severity,
        message=_text(sent.get("message")) or rule.title,
        remedy=rule.remedy,
        path=_text(sent.get("path")),
        paths=tuple(str(each)[:_LONGEST_TEXT] for each in paths) if isinstance(paths, list) else (),
        row=_whole(sent.get("row")),
        column=_text(sent.get("column")),
        tag=_text(sent.get("tag")),
        count=_whole(sent.get("count")) or 1,
        value=_text(sent.get("value")),
    )


def _text(value: object) -> str | None:
    return value[:_LONGEST_TEXT] if isinstance(value, str) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
