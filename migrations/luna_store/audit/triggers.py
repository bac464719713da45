"""The triggers of the audit log, for migrations: a table gets them in one line.

    for statement in created(rows_of("alert_rules", "rule", subject="name", columns=("name", "query", "threshold"))):
        op.execute(statement)

records `rule.created`, `rule.changed` and `rule.deleted`. Revisions depend on what this module emits: extend it, but do
not change the meaning of what is there.

A trigger fires for the columns that its UPDATE names, and writes only if one of them changed. So an UPDATE of other
columns costs nothing, and one that changes nothing leaves no entry. The function `audit_change` of revision 0012 writes
the entry, in the transaction of the change.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Event = Literal["INSERT", "UPDATE", "DELETE"]
FUNCTION: Final = "audit_change"
NO_ACCOUNT: Final = ""
"""As `account` of a trigger: rows of the table belong to no account."""


@dataclass(frozen=True, slots=True)
class AuditTrigger:
    """One action of a table."""

    table: str
    action: str
    """`<noun>.<what>`, in the words of docs/audit.md."""
    event: Event
    subject: str
    """The column that names the row to people."""
    columns: tuple[str, ...] = ()
    """What `before` and `after` hold; never a secret, nor a digest of one. An UPDATE shows those that changed."""
    watched: tuple[str, ...] = ()
    """UPDATE: further columns, whose change is recorded but not their values; also old columns that a trigger of the
    table copies to one of `columns`."""
    when: str | None = None
    """A condition on OLD and NEW, instead of: one of `columns` or `watched` changed."""
    account: str = "account_id"
    """The column that holds the account's id, or `NO_ACCOUNT`."""

    @property
    def name(self) -> str:
        """The trigger's name."""
        return "audit_" + self.action.replace(".", "_").replace("-", "_")

    @property
    def create(self) -> str:
        """CREATE TRIGGER."""
        arguments = ", ".join(f"'{each}'" for each in (self.action, self.account, self.subject, *self.columns))
        of = f" OF {', '.join(self._all)}" if self.event == "UPDATE" else ""
        when = self.when or (self._changed if self.event == "UPDATE" else None)
        return (
            f"CREATE TRIGGER {self.name} AFTER {self.event}{of} ON {self.table} FOR EACH ROW "
            + (f"WHEN ({when}) " if when else "")
            + f"EXECUTE FUNCTION {FUNCTION}({arguments})"
        )

    @property
    def drop(self) -> str:
        """DROP TRIGGER."""
        return f"DROP TRIGGER {self.name} ON {self.table}"

    @property
    def _all(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.columns, *self.watched)))

    @property
    def _changed(self) -> str:
        return " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in self._all)


def rows_of(
    table: str,
    noun: str,
    *,
    subject: str,
    columns: Sequence[str],
    watched: Sequence[str] = (),
    account: str = "account_id",
) -> tuple[AuditTrigger, ...]:
    """The three triggers of a plain table: `<noun>.created`, `<noun>.changed` and `<noun>.deleted`.

    Args:
        table: the table.
        noun: of the actions.
        subject: the column that names a row to people.
        columns: what `before` and `after` hold.
        watched: columns whose change is recorded without their values.
        account: the column with the account's id, or `NO_ACCOUNT`.
    """
    shown = tuple(columns)
    return (
        AuditTrigger(table, f"{noun}.created", "INSERT", subject, shown, account=account),
        AuditTrigger(table, f"{noun}.changed", "UPDATE", subject, shown, tuple(watched), account=account),
        AuditTrigger(table, f"{noun}.deleted", "DELETE", subject, shown, account=account),
    )


def created(triggers: Iterable[AuditTrigger]) -> list[str]:
    """The statements that create triggers, for `upgrade`."""
    return [trigger.create for trigger in triggers]


def dropped(triggers: Iterable[AuditTrigger]) -> list[str]:
    """The statements that drop triggers, for `downgrade`; dropping their table does as well."""
    return [trigger.drop for trigger in triggers]
