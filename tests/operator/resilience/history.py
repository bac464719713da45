"""What a test did to Accounts that are no more, and how often it asked for new keys: what no present state shows."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Ended:
    """An Account at the moment of its deletion."""

    retain: bool
    finalized: bool
    """Whether the operator had put its finalizer there; else it vanished at once, and had nothing."""
    known: bool
    """Whether its status had an account id: then it certainly had a row."""


@dataclass
class History:
    """Kept by the code that makes the changes."""

    rotations: Counter[str] = field(default_factory=Counter)
    """How many rotations each Account, by its uid, was asked for or went through."""
    ended: defaultdict[str, list[Ended]] = field(default_factory=lambda: defaultdict(list))
    """By `<namespace>/<name>`, in their order: a name may be used again."""

    def deleted(self, answer: dict[str, Any]) -> None:
        """Note a deletion, from the API server's answer."""
        metadata = answer["metadata"]
        self.ended[f"{metadata['namespace']}/{metadata['name']}"].append(
            Ended(
                retain=answer["spec"].get("deletionPolicy", "Retain") == "Retain",
                finalized="luna.dev/account" in metadata.get("finalizers", ()),
                known="accountId" in (answer.get("status") or {}),
            )
        )

    def outcomes(self) -> dict[str, set[str]]:
        """What may remain of each name: a `row`, `nothing`, or both if that cannot be known from outside.

        An Account that was deleted before anybody knew of a row leaves one or not; and what an earlier Account of
        the name left stays as it is until a later one takes it up.
        """
        found = {}
        for name, accounts in self.ended.items():
            possible = {"nothing"}
            for account in accounts:
                outcome = {"row" if account.retain else "nothing"}
                if account.finalized:
                    possible = outcome if account.known else possible | outcome
            found[name] = possible
        return found
