"""Why an import is refused: places in files, and what is wrong there."""

from dataclasses import dataclass
from typing import Final

MOST_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Wrong:
    """A row that cannot be imported."""

    file: str
    row: int
    """The 0-based data row, without the header."""
    symbol: str
    what: str
    """A sentence."""

    def __str__(self) -> str:
        return f"{self.file}, row {self.row:,} ({self.symbol}): {self.what}"


class ImportRefused(Exception):
    """Files that cannot be imported. Nothing was changed."""

    def __init__(self, summary: str, wrong: tuple[Wrong, ...] = (), count: int = 0) -> None:
        """Say what is wrong.

        Args:
            summary: one sentence, with the cure.
            wrong: the first rows.
            count: of all rows that are wrong, in the blocks that were read.
        """
        more = count - len(wrong)
        lines = [summary, *(f"  {each}" for each in wrong), *([f"  and {more:,} more"] if more > 0 else [])]
        super().__init__("\n".join(lines))
        self.wrong = wrong
        self.count = count
