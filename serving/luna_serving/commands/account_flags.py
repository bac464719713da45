"""`--limit` and `--allow` of `luna account create`, from the list in `luna_store.limits`."""

import json
import pkgutil
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from luna_store import limits
from luna_store.grants import ALL, Grants
from luna_store.tiers import TIERS


def limit_help() -> str:
    """The text for `--help`, with every limit."""
    names = "; ".join(f"{limit.name} ({limit.unit}, default: {limit.unset})" for limit in limits.LIMITS)
    return f"a limit of its own; repeat. Limits: {names}"


def limit(text: str) -> tuple[str, int]:
    """Read a limit and its value, NAME=N; the name as in `accounts.limits` or as in a custom resource.

    Raises:
        ValueError: it is malformed; the message has the form.
    """
    name, _, value = text.partition("=")
    if not value.isascii() or not value.isdigit():
        raise ValueError(f"{text!r} is not a limit and its whole number; write for example {limits.LIMITS[0].name}=10.")
    name = {each.field: each.name for each in limits.LIMITS}.get(name, name)
    limits.validated({name: int(value)})
    return name, int(value)


def limits_of(given: Sequence[tuple[str, int]] | None) -> dict[str, int]:
    """The limits of `--limit`.

    Raises:
        ValueError: one is given twice.
    """
    values: dict[str, int] = {}
    for name, value in given or ():
        if name in values:
            raise ValueError(f"--limit {name} is given twice: write it once.")
        values[name] = value
    return values


def allow(text: str) -> tuple[str, tuple[str, ...]]:
    """Read `kalman=arima,local_level`.

    Raises:
        ValueError: it is malformed, or names nothing that the capability grants; the message has the cure.
    """
    capability, _, names = text.partition("=")
    listed = tuple(names.split(","))
    if not capability or not all(listed):
        raise ValueError(f"{text!r} names no capability and names; write for example kalman=arima,local_level.")
    known = capabilities()
    if capability not in {ALL, *known}:
        raise ValueError(f"{capability!r} is no capability: choose from {', '.join(known)}, or {ALL} for all others.")
    granted = grant_names().get(capability, ())
    for name in listed:
        if granted and name not in {ALL, *granted}:
            near = get_close_matches(name.lower(), granted, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(granted)}."
            raise ValueError(f"{name!r} is nothing that {capability} grants: {hint}")
    return capability, listed


def grant_names() -> Mapping[str, Sequence[str]]:
    """The names that the grants of each capability may have, as `docs/generate.py` wrote them."""
    names: Mapping[str, Sequence[str]] = json.loads(Path(__file__).with_name("grant_names.json").read_text())
    return names


def capabilities() -> list[str]:
    """The names of the capabilities of this installation, found by their folders: importing them would take seconds."""
    folder = Path(__file__).parents[1] / "capabilities"
    return sorted(each.name for each in pkgutil.iter_modules([str(folder)]) if each.ispkg)


def over_tier(given: dict[str, list[str]] | None, tier: Mapping[str, Any]) -> dict[str, list[str]] | None:
    """The grants of `--allow`, capability by capability, else those of `--tier`; None if neither was given."""
    defaults: dict[str, list[str]] | None = tier.get("allowed")
    return {**(defaults or {}), **given} if given is not None else defaults


def tier_of(name: str | None) -> Mapping[str, Any]:
    """The defaults of `--tier`, by the fields of an `AccountSpec`; none without one.

    Raises:
        ValueError: Luna ships no such Tier.
    """
    if name is None:
        return {}
    if name not in TIERS:
        raise ValueError(
            f"{name!r} is none of the Tiers {', '.join(TIERS)}. Those of a cluster are for its Accounts: spec.tier."
        )
    return TIERS[name].defaults()


def allowed(
    allows: Sequence[tuple[str, tuple[str, ...]]] | None, models: Sequence[str] | None
) -> dict[str, list[str]] | None:
    """The grants of `--allow` and `--model`; None if neither was given.

    Raises:
        ValueError: both list models.
    """
    if allows is None and models is None:
        return None
    listed: dict[str, list[str]] = {}
    for capability, names in allows or ():
        listed.setdefault(capability, []).extend(name for name in names if name not in listed.get(capability, ()))
    try:
        return Grants.of(None if allows is None else listed, models).in_force()
    except ValueError as error:
        raise ValueError("--model and --allow kalman=... both list models: write one of them.") from error
