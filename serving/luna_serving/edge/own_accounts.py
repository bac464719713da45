"""The account of a credential, for paths that name none."""

import time
from collections.abc import Awaitable, Callable
from typing import Final

from luna_serving.access.credentials import Credential

# Bounds memory: an entry takes about 300 bytes.
MAX_ENTRIES: Final = 4096
# How long a key's account is remembered. A key never changes its account, so this only bounds what a key that is no
# longer used occupies.
KEPT_S: Final = 60.0


class OwnAccounts:
    """Remembers which account a key belongs to, so that a path without an account costs no second round trip.

    An entry grants nothing: every call is debited by its key's digest, and a key that is not the account's is denied
    there. The caller then forgets the entry.
    """

    def __init__(
        self, identify: Callable[[Credential], Awaitable[int]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Wire it.

        Args:
            identify: asks the stores. Raises Problem 401 or 503.
            clock: seconds that never go back.
        """
        self._identify = identify
        self._clock = clock
        self._entries: dict[tuple[str, ...], tuple[int, float]] = {}

    def known(self, credential: Credential) -> int | None:
        """The account, where no store has to be asked: a token carries it."""
        if credential.token_account is not None:
            return credential.token_account
        entry = self._entries.get(credential.key_digests)
        return entry[0] if entry is not None and self._clock() < entry[1] else None

    async def ask(self, credential: Credential) -> int:
        """The account as the stores have it, remembered from now on.

        Raises:
            Problem: 401 for a stranger, 503 while nobody can tell.
        """
        account_id = await self._identify(credential)
        if credential.token_account is None:
            self._entries.pop(credential.key_digests, None)
            if len(self._entries) >= MAX_ENTRIES:
                del self._entries[next(iter(self._entries))]  # the oldest
            self._entries[credential.key_digests] = account_id, self._clock() + KEPT_S
        return account_id

    def forget(self, credential: Credential) -> None:
        """Drop an entry that a store has contradicted."""
        self._entries.pop(credential.key_digests, None)
