"""What the end of a run in the sandbox means for the check."""

from typing import Final

from luna_serving.capabilities.datasets.validation.findings import Finding, Rule, of
from luna_serving.capabilities.datasets.validation.sandbox.limits import Ending, Outcome

_RESOURCES: Final = frozenset({Ending.MEMORY, Ending.CPU, Ending.WALL_CLOCK, Ending.OUTPUT})
UNFINISHED: Final = {"check": "the rest of the file", "reason": "the validator was stopped"}
"""In the coverage of a file whose validator did not come to its end."""


class CheckFailed(Exception):
    """The check could not be made; not the data's fault."""


def ending(outcome: Outcome, path: str, resources: Rule, crashed: Rule) -> Finding | None:
    """The finding about how a run ended; None if the validator came to its end.

    Raises:
        CheckFailed: the run did not begin.
    """
    if outcome.finished:
        return None
    if outcome.ending is Ending.REFUSED:
        raise CheckFailed(outcome.detail)
    return of(resources if outcome.ending in _RESOURCES else crashed, outcome.detail, path=path)
