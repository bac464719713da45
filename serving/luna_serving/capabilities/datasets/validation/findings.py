"""Findings: what a validator has to say about a file or a set, each with its place, its rule and its remedy."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

# Findings of one rule in one file that an answer lists; all are counted, and all are in the NDJSON.
LISTED_PER_RULE: Final = 20


class Severity(StrEnum):
    """What a finding means for the set: any `error` makes it `invalid`."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Rule:
    """What is checked. Its id is public and never gets another meaning."""

    id: str
    """`DCM`, `PHI`, `PIX`, `SET`, `TBL`, `TS` or `VAL` and three digits."""
    severity: Severity
    title: str
    """What is wrong, as a noun phrase: "Duplicate time"."""
    remedy: str
    """What the owner of the data does about it: a sentence in the imperative."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: a rule that does not hold, and where."""

    id: str
    """The rule's."""
    severity: Severity
    message: str
    """One sentence about this place. Holds no value of a DICOM element that may identify a person."""
    remedy: str
    path: str | None = None
    """The file's name in the set; None for a finding about the set or about several files."""
    paths: tuple[str, ...] = ()
    """The files of a finding about several."""
    row: int | None = None
    """0-based data row, the header not counted."""
    column: str | None = None
    tag: str | None = None
    """DICOM tag, `(gggg,eeee)`."""
    count: int = 1
    """Places that this finding stands for; of duplicates the surplus rows."""
    value: str | None = None
    """The offending value, where it may be shown."""

    def to_json(self) -> dict[str, Any]:
        """As in `findings` of the API: members without a value are left out, but `path`, `row` and `count`."""
        always = ("path", "row", "count")
        return {k: v for k, v in asdict(self).items() if k in always or v not in (None, ())}


def of(rule: Rule, message: str, **place: Any) -> Finding:  # noqa: ANN401  the fields of Finding
    """A finding of a rule; `place` are the further fields of `Finding`."""
    return Finding(rule.id, rule.severity, message, rule.remedy, **place)


class Findings:
    """Collects findings: counts all, lists the first of each rule and file, and passes every one on."""

    def __init__(self, each: Callable[[Finding], None] | None = None, *, listed: int = LISTED_PER_RULE) -> None:
        """Collect findings.

        Args:
            each: called with every finding, also those that are not listed; writes the NDJSON.
            listed: findings of one rule in one file that are kept.
        """
        self._each = each
        self._most = listed
        self._seen: dict[tuple[str, str | None], int] = {}
        self._listed: list[Finding] = []
        self._counts: dict[Severity, int] = dict.fromkeys(Severity, 0)

    def add(self, finding: Finding) -> None:
        """Add a finding."""
        self._counts[finding.severity] += 1
        key = (finding.id, finding.path)
        self._seen[key] = seen = self._seen.get(key, 0) + 1
        if seen <= self._most:
            self._listed.append(finding)
        if self._each is not None:
            self._each(finding)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._listed)

    @property
    def counts(self) -> Mapping[Severity, int]:
        """Findings by severity, those that are not listed among them."""
        return self._counts

    @property
    def valid(self) -> bool:
        """Whether no finding is an error."""
        return self._counts[Severity.ERROR] == 0
