"""What a query reads: the selections it announces, and the source that answers them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from luna_serving.engines.promql.matchers import Matcher
from luna_serving.engines.promql.series import Series


@dataclass(frozen=True, slots=True)
class Selection:
    """Samples that a query needs. Hashable: a caller may load them into a dictionary by selection.

    Attributes:
        matchers: all must pass; at least one does not match the empty value.
        first_ms: of the first sample needed, inclusive.
        last_ms: of the last sample needed, inclusive.
    """

    matchers: tuple[Matcher, ...]
    first_ms: int
    last_ms: int


class Source(Protocol):
    """Where samples come from. Synchronous: load what `Query.selections` announces before evaluating."""

    def select(self, matchers: tuple[Matcher, ...], first_ms: int, last_ms: int) -> Sequence[Series]:
        """The series that pass all matchers, with their samples in [first_ms, last_ms].

        Called only with the fields of selections that `Query.selections` announced for the same bounds. Samples outside
        the bounds do no harm; series without samples may be left out. Staleness markers must be included.
        """
        ...
