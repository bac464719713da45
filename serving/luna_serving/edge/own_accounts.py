"""Finds the account of a credential, for paths without an account."""

import time
from collections.abc import Awaitable, Callable
from typing import Final

from luna_serving.access.credentials import Credential

# Entries in memory, about 300 bytes each.
MAX_ENTRIES: Final = 4096
# How long a key's account is cached. A key never changes its account, so this only bounds the memory of unused keys.
KEPT_S: Final = 60.0


class OwnAccounts:
    """Caches which account a key belongs to, so that a path without an account costs no second round trip.

    An entry grants nothing: every call is debited by its key's digest, and the debit denies a key of another account.
    The edge then drops the entry.
    """

    def __init__(
        self, identify: Callable[[Credential], Awaitable[int]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Wire the cache.

        Args:
            identify: asks the stores. Raises Problem 401 or 503.
            clock: monotonic seconds.
        """
        self._identify = identify
        self._clock = clock
        self._entries: dict[tuple[str, ...], tuple[int, float]] = {}

    def known(self, credential: Credential) -> int | None:
        """The account, if it is known without a store: tokens hold it."""
        if credential.token_account is not None:
            return credential.token_account
        entry = self._entries.get(credential.key_digests)
        return entry[0] if entry is not None and self._clock() < entry[1] else None

    async def ask(self, credential: Credential) -> int:
        """The account from the stores; caches it.

        Raises:
            Problem: 401 for an unknown key, 503 while no store answers.
        """
        account_id = await self._identify(credential)
        if credential.token_account is None:
            self._entries.pop(credential.key_digests, None)
            if len(self._entries) >= MAX_ENTRIES:
                del self._entries[next(iter(self._entries))]  # the oldest
            self._entries[credential.key_digests] = account_id, self._clock() + KEPT_S
        return account_id

    def forget(self, credential: Credential) -> None:
        """Drop an entry that a store contradicted."""
        self._entries.pop(credential.key_digests, None)
