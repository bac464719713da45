"""The list of an account's limits, other than quota and rate.

It determines the fields of the custom resources and their status, the names in `accounts.limits` and in Redis, and what
`luna account` and `GET /api/v1/{account_id}` accept and show. To add a limit, add an entry here and run
`python -m luna_operator.schema`, which writes it into `crds/`; rows and Redis need no migration.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

# An int32, as in the columns of earlier releases.
HIGHEST = 2**31 - 1
# Of limits in bytes: a whole number that JSON and Lua keep exactly.
HIGHEST_BYTES = 2**50


class Checked(StrEnum):
    """Where a limit is enforced."""

    DEBIT = "debit"
    """In the debit, against its `amounts`."""
    PARSE = "parse"
    """While the request is parsed."""
    STORE = "store"
    """Where something is stored, in the same transaction."""
    HISTORY = "history"
    """Where usage history is read."""
    RUN = "run"
    """Where a job is claimed, or while it runs."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit: a whole number that an Account or a Tier may set."""

    name: str
    """Its name in snake_case, in Postgres, in Redis, in JSON and in the `amounts` of a debit. One of a capability or a
    room begins with its name and a dot: `jobs.concurrent`."""
    unit: str
    what: str
    """What it bounds, as a phrase: "Points in one series at most"."""
    checked: Checked
    default: int | None = None
    """The value where neither Account nor Tier sets it; None for `otherwise`."""
    otherwise: str = "no limit"
    """What applies without a value and without a default, as a phrase."""
    lowest: int = 1
    highest: int = HIGHEST
    earlier_column: bool = False
    """Whether releases before revision 0005 have a column of this name; removed with these columns."""
    earlier_hash_field: str | None = None
    """The field in which these releases read it from Redis, 0 for none; removed with these columns."""

    @property
    def field(self) -> str:
        """Its name in a custom resource: camelCase."""
        first, *others = self.name.replace(".", "_").split("_")
        return first + "".join(word.capitalize() for word in others)

    @property
    def path(self) -> str:
        """Its path in a custom resource."""
        return f"spec.limits.{self.field}"

    @property
    def unset(self) -> str:
        """What applies where it is not set, as a phrase."""
        return self.otherwise if self.default is None else str(self.default)


LIMITS: tuple[Limit, ...] = (
    Limit(
        name="max_series_length",
        unit="points",
        what="Points in one series at most",
        checked=Checked.DEBIT,
        otherwise="the server's own limit, which it can only lower",
        earlier_column=True,
        earlier_hash_field="max_length",
    ),
    Limit(
        name="max_series_per_request",
        unit="series",
        what="Series in one request at most",
        checked=Checked.DEBIT,
        otherwise="the server's own limit, which it can only lower",
        earlier_column=True,
        earlier_hash_field="max_series",
    ),
    Limit(
        name="history_days",
        unit="days",
        what="Days of history that the team can read, of its usage, of prices and of indicators",
        checked=Checked.HISTORY,
        otherwise="as much as the server keeps",
        highest=36_500,
        earlier_column=True,
    ),
    Limit(
        name="jobs.concurrent",
        unit="jobs",
        what="Jobs that run at once at most",
        checked=Checked.RUN,
        default=4,
        highest=10_000,
    ),
    Limit(
        name="jobs.queued",
        unit="jobs",
        what="Jobs that wait in the queue at most",
        checked=Checked.STORE,
        default=10_000,
    ),
    Limit(
        name="jobs.seconds",
        unit="seconds",
        what="Seconds that one attempt at a job may take",
        checked=Checked.RUN,
        default=3_600,
        highest=432_000,
    ),
    Limit(
        name="jobs.result_bytes",
        unit="bytes",
        what="Bytes of a job's result and artifacts at most",
        checked=Checked.RUN,
        default=64 * 2**20,
        highest=HIGHEST_BYTES,
    ),
    Limit(
        name="jobs.weight",
        unit="shares",
        what="Share of the workers while several accounts have jobs waiting",
        checked=Checked.RUN,
        default=1,
        highest=1_000,
    ),
    Limit(
        name="jobs.result_days",
        unit="days",
        what="Days that jobs and their results are kept",
        checked=Checked.STORE,
        default=30,
        highest=3_650,
    ),
    Limit(
        name="datasets.stored_bytes",
        unit="bytes",
        what="Bytes of all data sets at most, those that are being uploaded among them",
        checked=Checked.STORE,
        default=10 * 2**30,
        highest=HIGHEST_BYTES,
    ),
    Limit(
        name="alerts.rules",
        unit="rules",
        what="Rules of alerts at most",
        checked=Checked.STORE,
        default=1_000,
        highest=1_000_000,
    ),
    Limit(
        name="metrics.active_series",
        unit="series",
        what="Series of metrics with samples in the last hour at most; existing ones go on, a further one is refused",
        checked=Checked.STORE,
        default=100_000,
        highest=10_000_000,
    ),
    Limit(
        name="metrics.samples_per_second",
        unit="samples per second",
        what="Samples of metrics per second at most, on average over ten seconds",
        checked=Checked.STORE,
        default=100_000,
        highest=10_000_000,
    ),
    Limit(
        name="metrics.labels",
        unit="labels",
        what="Labels of a series of metrics at most, without its name",
        checked=Checked.PARSE,
        default=30,
        highest=1_000,
    ),
    Limit(
        name="metrics.query_samples",
        unit="samples",
        what="Samples of metrics that a query may read at most",
        checked=Checked.RUN,
        default=10_000_000,
    ),
    Limit(
        name="metrics.retention_days",
        unit="days",
        what="Days that samples of metrics are kept",
        checked=Checked.STORE,
        default=90,
        highest=3_650,
    ),
    Limit(
        name="metrics.sockets",
        unit="connections",
        what="Connections for live metrics at once on one ingress replica at most",
        checked=Checked.RUN,
        otherwise="the server's own limit, which it can only lower",
        highest=100_000,
    ),
)


def validated(values: Mapping[str, int]) -> dict[str, int]:
    """Check limits and their values; returns them.

    Raises:
        ValueError: an unknown limit, or a value out of range; names the limit and the cure.
    """
    known = {limit.name: limit for limit in LIMITS}
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"{name} is not a limit; the limits are {', '.join(known)}.")
        lowest, highest = known[name].lowest, known[name].highest
        if not lowest <= value <= highest:
            raise ValueError(f"{name} must lie between {lowest} and {highest}, or be left out, not {value}.")
    return dict(values)


def in_force(values: Mapping[str, int]) -> dict[str, int]:
    """The limits in force for an account with these values; limits without value and default are absent."""
    return {limit.name: limit.default for limit in LIMITS if limit.default is not None} | dict(values)
