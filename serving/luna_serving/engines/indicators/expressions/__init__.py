"""Custom indicators: arithmetic over columns and the indicators of the catalogue, written as text.

`parse` turns text into an `Expression`, or raises a `Fault` that points at the place in the text. `evaluate` computes
an expression over the bars of one symbol. Text is never executed: `tokens`, `parsing` and `checking` know every
character, name and call that may occur, and anything else is a fault. Rooms, each importing only those before it:
`faults` and `limits`; `tokens` (with `lookalikes`); `syntax`; `parsing`; `tree`; `checking` (with `arguments`);
`formatting`; `evaluating`.

No names of accounts and no grants here: the caller compares `indicators_of` with what an account may use.
"""

from .checking import parse
from .evaluating import evaluate
from .expression import Expression, indicators_of
from .faults import Fault, Reason, Span
from .formatting import canonical
from .limits import Limits

__all__ = ["Expression", "Fault", "Limits", "Reason", "Span", "canonical", "evaluate", "indicators_of", "parse"]
