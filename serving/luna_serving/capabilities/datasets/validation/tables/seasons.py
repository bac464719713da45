"""The season that a frequency suggests. Pure."""

from typing import Final

from luna_serving.capabilities.datasets.validation.frequency import Frequency, Unit

_SEASONS: Final = {
    Unit.SECOND: 60,
    Unit.MINUTE: 60,
    Unit.HOUR: 24,
    Unit.DAY: 7,
    Unit.BUSINESS_DAY: 5,
    Unit.WEEK: 52,
    Unit.MONTH: 12,
    Unit.QUARTER: 4,
}


def season(frequency: Frequency | None) -> int | None:
    """Observations per season; None if the frequency suggests none."""
    if frequency is None or frequency.unit not in _SEASONS:
        return None
    whole, rest = divmod(_SEASONS[frequency.unit], frequency.count)
    if frequency.unit is Unit.MINUTE and frequency.count > 1:
        # Quarters of an hour have days rather than hours.
        whole, rest = divmod(24 * 60, frequency.count)
    return whole if rest == 0 and whole > 1 else None
