"""The table of docs/reliability.md: what each event cost, as one run found it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.cluster_node.load import longest_silence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.cluster_node.load import Call

_MARKS = re.compile(r"(<!-- runs of make test-cluster -->\n).*?(<!-- end of runs -->)", re.DOTALL)
_ACCOUNT = re.compile(r"(?<=/)(first|(one|two)-\d+)")
_HEAD = """\
| event | workers | sent | answered | refused | lost | longest time without an answer | debits expected | found |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
"""


@dataclass(frozen=True)
class Row:
    """What one event cost."""

    event: str
    workers: int
    sent: int
    answered: int
    refused: int
    lost: int
    silence_s: float
    debits: int

    @classmethod
    def of(cls, event: str, workers: int, calls: Sequence[Call], debits: int) -> Row:
        """Count the calls of one event; `debits` is what the ledger holds."""
        counts = {
            name: sum(call.outcome == name for call in calls) for name in ("answered", "refused", "lost", "wrong")
        }
        assert counts["wrong"] == 0, next(call.detail for call in calls if call.outcome == "wrong")
        silence = longest_silence(calls)
        return cls(event, workers, len(calls), counts["answered"], counts["refused"], counts["lost"], silence, debits)

    @property
    def ledger_is_right(self) -> bool:
        """Whether every answer is debited once. A lost call may be, or not: its caller cannot know either."""
        return self.answered <= self.debits <= self.answered + self.lost

    def __str__(self) -> str:
        expected = f"{self.answered}" if not self.lost else f"{self.answered} to {self.answered + self.lost}"
        return (
            f"| {self.event} | {self.workers} | {self.sent:,} | {self.answered:,} | {self.refused:,} | {self.lost:,} "
            f"| {self.silence_s:.1f} s | {expected} | {self.debits} |"
        )


def write(page: Path, machine: str, times: dict[str, float], rows: Sequence[Row], left: Sequence[str]) -> None:
    """Replace the tables of `page` by those of this run; `left` is what an uninstalled release leaves."""
    steps = "\n".join(f"| {name} | {seconds:.1f} s |" for name, seconds in times.items())
    table = "\n".join(map(str, rows))
    text = f"\n{machine}\n\n| step | took |\n|---|---:|\n{steps}\n\n{_HEAD}{table}\n\n"
    if left:
        # Accounts of the test and their keys are many of one kind.
        names = dict.fromkeys(_ACCOUNT.sub("<account>", name) for name in left)
        text += f"An uninstalled release leaves {', '.join(f'`{name}`' for name in names)}.\n\n"
    before = page.read_text()
    after, replaced = _MARKS.subn(lambda found: f"{found[1]}{text}{found[2]}", before)
    assert replaced == 1, f"{page} lacks the marks"
    page.write_text(after)
