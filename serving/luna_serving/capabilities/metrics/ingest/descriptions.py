"""What is kept of the metadata of a request. Senders do not repair it, so what cannot be kept is left out."""

from collections.abc import Sequence
from typing import Final

from luna_serving.capabilities.metrics.ingest.checking import UnusableSeries, checked_key
from luna_serving.capabilities.metrics.ingest.results import Metadata

# Characters. A longer help text is cut, as no list shows it.
MAX_HELP: Final = 1_024
MAX_UNIT: Final = 64


def described(metadata: Sequence[Metadata]) -> dict[str, tuple[str, str, str]]:
    """Type, help and unit by the name of the metric; without names that no metric can have.

    Args:
        metadata: of a request; of one name the last counts.
    """
    found = {}
    for each in metadata:
        try:
            checked_key(each.name, (), 0)
        except UnusableSeries:
            continue
        found[each.name] = (each.type.value, _kept(each.help, MAX_HELP), _kept(each.unit, MAX_UNIT))
    return found


def _kept(text: str, most: int) -> str:
    # Postgres stores no NUL in texts.
    return text[:most].replace("\0", "\ufffd")
