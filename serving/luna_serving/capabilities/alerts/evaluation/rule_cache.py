"""Parsed rules of a worker, by revision: a rule is parsed once, not at every evaluation."""

import logging
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.capabilities.alerts.rules.rule import Rule, rule_of
from luna_serving.capabilities.alerts.store.due import Due, StoredDocument, documents

log = logging.getLogger("luna.alerts")

# A parsed rule takes about 4 KB.
MOST: Final = 50_000


@dataclass(frozen=True, slots=True)
class Loaded:
    """A rule with its webhook's secret."""

    rule: Rule
    secret: str | None


class RuleCache:
    """Keeps the rules that were used last."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._rules: OrderedDict[uuid.UUID, Loaded] = OrderedDict()
        self.unreadable: set[uuid.UUID] = set()
        """Rules that could not be parsed; the query for due rules leaves them out, and clears this now and then."""

    async def load(self, engine: AsyncEngine, due: Sequence[Due]) -> dict[uuid.UUID, Loaded]:
        """The rules that are due, by id; without those that were deleted or changed meanwhile."""
        missing = [each for each in due if self._known(each) is None]
        if missing:
            found = await documents(engine, [each.rule_id for each in missing])
            for each in missing:
                stored = found.get(each.rule_id)
                if stored is not None and stored.revision == each.revision:
                    self._parse(each, stored)
        loaded = {each.rule_id: known for each in due if (known := self._known(each)) is not None}
        for rule_id in loaded:
            self._rules.move_to_end(rule_id)
        while len(self._rules) > self._most:
            self._rules.popitem(last=False)
        return loaded

    def _parse(self, due: Due, stored: StoredDocument) -> None:
        try:
            rule = rule_of(due.rule_id, due.account_id, due.revision, stored.document)
        except (ValueError, KeyError, TypeError):
            # Put by another release; the others must not suffer from it.
            log.exception("rule %s of account %d cannot be read", due.rule_id, due.account_id)
            self.unreadable.add(due.rule_id)
        else:
            self._rules[due.rule_id] = Loaded(rule, stored.webhook_secret)

    def _known(self, due: Due) -> Loaded | None:
        loaded = self._rules.get(due.rule_id)
        return loaded if loaded is not None and loaded.rule.revision == due.revision else None
