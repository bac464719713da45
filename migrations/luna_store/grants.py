"""Grants: for each capability the names that an account may use, as in `{"kalman": ["arima"], "*": ["*"]}`.

The name `"*"` stands for all names of a capability; the capability `"*"` for all capabilities without an entry of their
own. A capability without an entry, where there is no `"*"`, is closed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

ALL: Final = "*"
MODELS: Final = "kalman"
"""The capability whose names `allowedModels` lists."""

Allowed = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Grants:
    """The grants of one source (an Account, a Tier, a command line); sources are merged by capability."""

    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exhaustive: bool = False
    """Whether `allowed` was set: it closes capabilities that it does not name; `allowedModels` alone does not."""

    @classmethod
    def of(cls, allowed: Allowed | None, models: Sequence[str] | None) -> "Grants":
        """Combine `allowed` with its alias for models; None for one that is left out.

        Raises:
            ValueError: both list models, or `allowed` lists nothing; the message has the cure.
        """
        if allowed is not None and not allowed:
            raise ValueError('names no capability; write {"*": ["*"]} for all, or leave it out.')
        names = {capability: tuple(each) for capability, each in (allowed or {}).items()}
        if models is not None:
            if MODELS in names:
                raise ValueError(f"lists {MODELS}, and so does allowedModels: write one of them.")
            names[MODELS] = tuple(models)
        return cls(names, exhaustive=allowed is not None)

    def over(self, defaults: "Grants") -> "Grants":
        """These grants, capability by capability, else the others."""
        return Grants({**defaults.names, **self.names}, self.exhaustive or defaults.exhaustive)

    def in_force(self) -> dict[str, list[str]]:
        """The grants in the form in which they are stored."""
        names = dict(self.names) if self.exhaustive else {ALL: (ALL,), **self.names}
        rest = names.get(ALL, ())
        return {capability: list(each) for capability, each in names.items() if capability == ALL or each != rest}


def everything() -> dict[str, list[str]]:
    """The grants of an account for which none are set."""
    return Grants().in_force()


def names_of(allowed: Allowed, capability: str) -> list[str]:
    """The names of a capability that are allowed; `["*"]` for all."""
    return list(allowed.get(capability, allowed.get(ALL, ())))


def is_granted(allowed: Allowed, capability: str, name: str) -> bool:
    """Whether an account may use a name of a capability; `lua/debit.lua` applies the same rule."""
    names = names_of(allowed, capability)
    return ALL in names or name in names


def validated(allowed: Allowed) -> dict[str, list[str]]:
    """Check grants and return them unchanged.

    Raises:
        ValueError: they cannot be stored; the message says why.
    """
    names = [*allowed, *(name for each in allowed.values() for name in each)]
    if any(not name or "\n" in name for name in names):
        # Earlier releases keep the names in Redis line by line.
        raise ValueError("allowed must hold names that are not empty and have no line breaks.")
    return {capability: list(each) for capability, each in allowed.items()}
