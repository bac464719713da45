"""Prometheus' rule files, as rules of Luna."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import yaml

from luna_serving.commands.errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GROUP: Final = frozenset({"name", "interval", "query_offset", "limit", "labels", "rules"})
RULE: Final = frozenset({"alert", "expr", "for", "keep_firing_for", "labels", "annotations"})
COPIED: Final = ("for", "keep_firing_for", "annotations")


def read_rules(text: str, name: str, *, skip_recording: bool) -> list[dict[str, Any]]:
    """The alerting rules of a file, as bodies of `POST /alerts/rules`.

    Args:
        text: YAML.
        name: of the file, for errors.
        skip_recording: leave recording rules out instead of refusing the file.

    Raises:
        CommandFailed: it is no rule file, or holds what Luna does not have; names the group and the rule.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as e:
        raise CommandFailed(f"{name} is not YAML: {e}.") from e
    if not isinstance(document, dict) or not isinstance(document.get("groups"), list) or document.keys() != {"groups"}:
        raise CommandFailed(f"{name} is no rule file of Prometheus: it must have `groups`, and nothing else.")
    return [rule for group in document["groups"] for rule in _of_group(group, name, skip_recording=skip_recording)]


def _of_group(group: Any, name: str, *, skip_recording: bool) -> Iterator[dict[str, Any]]:  # noqa: ANN401  YAML
    if not isinstance(group, dict) or not isinstance(group.get("name"), str):
        raise CommandFailed(f"{name}: a group must have a `name`.")
    where = f"{name}, group {group['name']!r}"
    _refuse_unknown(group, GROUP, where)
    if group.get("limit"):
        raise CommandFailed(
            f"{where}: `limit` is not supported; leave it out (LUNA_ALERTS_MAX_ALERTS bounds all rules)."
        )
    for rule in group.get("rules") or []:
        if not isinstance(rule, dict):
            raise CommandFailed(f"{where}: a rule must have `alert` and `expr`.")
        if "record" in rule:
            if skip_recording:
                continue
            raise CommandFailed(
                f"{where}: {rule['record']!r} is a recording rule. Luna has none: put its expression where its result "
                "is used, or leave recording rules out with --skip-recording."
            )
        yield _body(rule, group, where)


def _body(rule: Mapping[str, Any], group: Mapping[str, Any], where: str) -> dict[str, Any]:
    if "alert" not in rule or "expr" not in rule:
        raise CommandFailed(f"{where}: a rule must have `alert` and `expr`.")
    _refuse_unknown(rule, RULE, f"{where}, alert {rule['alert']!r}")
    body: dict[str, Any] = {"name": rule["alert"], "expr": str(rule["expr"]).strip(), "group": group["name"]}
    body |= {name: rule[name] for name in COPIED if rule.get(name) is not None}
    body |= {name: group[name] for name in ("interval", "query_offset") if group.get(name) is not None}
    labels = {**(group.get("labels") or {}), **(rule.get("labels") or {})}
    return body | ({"labels": {name: str(value) for name, value in labels.items()}} if labels else {})


def _refuse_unknown(found: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    if unknown := sorted(found.keys() - known):
        raise CommandFailed(f"{where}: {', '.join(map(repr, unknown))} is not known; use {', '.join(sorted(known))}.")
