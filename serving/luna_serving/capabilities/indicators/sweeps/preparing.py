"""Checks the parameters of a sweep when its job is created: symbols, version and limits are filled in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import orjson
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.capabilities.indicators.calls.resolving import Resolving
from luna_serving.capabilities.indicators.jobs.batches import Batch
from luna_serving.capabilities.indicators.wire.batch import BatchCall, BatchLimits, parse_batch
from luna_serving.edge.store_answers import store_answer
from luna_serving.jobs.kinds import JobPlan, Prepare
from luna_serving.prices.located import Located
from luna_serving.wire import problems
from luna_serving.wire.json_values import loads
from luna_serving.wire.problems import FieldError
from luna_serving.wire.tabular import ARROW
from luna_store.accounts.accounts import Accounts
from luna_store.grants import is_granted
from luna_store.limits import in_force
from luna_store.prices.reading import Filter, Seen, page
from luna_store.quota.debits import Grant

KIND: Final = "indicators"
PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Preparing:
    """Wired in an ingress replica."""

    engine: AsyncEngine
    accounts: Accounts
    resolving: Resolving
    limits: BatchLimits

    def prepares(self) -> Mapping[str, Prepare]:
        """By the kind's name."""
        return {KIND: self.prepare}

    async def prepare(self, account_id: int, parameters: bytes) -> JobPlan:
        """Check a job of an account.

        Raises:
            Problem: 403, 404, 422 or 503.
        """
        call = parse_batch(parameters, self.limits, sweep=True)
        if call.bars is not None:
            raise problems.invalid(
                FieldError("/bars", "A job reads stored prices: send inline bars to POST /indicators.")
            )
        account = await store_answer(self.accounts.get(account_id), "The account store")
        if call.form.symbols is None and call.form.dataset is None:
            call = replace(call, form=call.form.model_copy(update={"symbols": await self._all(account_id, call)}))

        async def granted(grants: Sequence[Grant]) -> Mapping[Grant, bool]:
            return {each: is_granted(account.allowed, each.capability, each.name) for each in grants}

        days = in_force(account.limits).get("history_days")
        batch = await self.resolving.batch(account_id, call, ARROW, days, granted)
        if batch.errors:
            # Nobody waits to correct it: what a batch answers in part, a job refuses.
            first = batch.errors[0]
            raise problems.invalid(FieldError(first.pointer or "/symbols", first.detail))
        return _plan(parameters, call, batch)

    async def _all(self, account_id: int, call: BatchCall) -> list[str]:
        """Every symbol of the market that has bars of the interval."""
        symbols: list[str] = []
        after, seen = "", Seen(account_id, call.frame.as_of)
        while rows := await store_answer(page(self.engine, seen, Filter(), after, PAGE), "The market"):
            symbols += [row.symbol for row in rows if call.frame.interval.value in row.intervals]
            after = rows[-1].symbol
            if len(symbols) > self.limits.max_symbols:
                raise problems.invalid(
                    FieldError("/symbols", f"The market has more than {self.limits.max_symbols}: name some of them.")
                )
        if not symbols:
            raise problems.not_found(f"The market has no prices with interval {call.frame.interval.value}.")
        return symbols


def _plan(parameters: bytes, call: BatchCall, batch: Batch) -> JobPlan:
    located = [each for each in batch.instruments if isinstance(each, Located)]
    document = loads(parameters) | {"symbols": [each.symbol for each in located]}
    version = max(each.data_version for each in located)
    if call.form.dataset is None:
        # The version that is current now, whatever is imported before the job runs.
        document["as_of"] = max(each.published for each in located).isoformat()
    else:
        dataset = located[0].dataset
        assert dataset is not None  # noqa: S101  it was located in one
        document["dataset"] = f"{dataset.name}@{dataset.version}"
    return JobPlan(
        units=batch.pairs,
        total=len(located),
        unit="symbols",
        parameters=orjson.dumps(document),
        plan={"symbols": len(located), "indicators": len(batch.orders), "bars": batch.bars},
        manifest={"data_version": version},
    )
