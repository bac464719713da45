"""Indicators by name: of the catalogue, or of the account's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from luna_serving.capabilities.indicators.store.custom import CustomIndicators
from luna_serving.capabilities.indicators.wire.formulas import Asked, asked_custom, asked_for, custom_name
from luna_serving.capabilities.indicators.wire.items import unknown_indicator
from luna_serving.edge.store_answers import store_answer


@dataclass(frozen=True, slots=True)
class Definitions:
    """Asks Postgres for accounts' own indicators, so that a changed one is used at once."""

    custom: CustomIndicators

    async def asked(
        self, account_id: int, name: str, params: Mapping[str, object], gaps: str, benchmark: str | None = None
    ) -> Asked:
        """An indicator that was asked for.

        Raises:
            ItemInvalid: 404 or 422.
            Problem: 503.
        """
        own = custom_name(name)
        if own is None:
            return asked_for(name, params, gaps, benchmark)
        text = (await self.texts(account_id, [own])).get(own)
        if text is None:
            raise unknown_indicator(name)
        return asked_custom(name, text, params, gaps)

    async def texts(self, account_id: int, names: Sequence[str]) -> Mapping[str, str]:
        """The expressions of an account's own indicators, by name; those that it has not are absent.

        Raises:
            Problem: 503.
        """
        if not names:
            return {}
        return await store_answer(self.custom.texts(account_id, names), "The store of indicators")
