"""Remembers which account a credential belongs to, for what is recorded of its requests."""

from typing import Final

from luna_serving.access.credentials import Credential

# Keys in memory, about 200 bytes each.
MAX_ENTRIES: Final = 16_384


class Owners:
    """The accounts of the credentials that were recognised in this process.

    An entry grants nothing. A key never changes its account, so no entry is ever wrong: a key that has ended is
    refused with 401, and whoever records that knows it from the status.
    """

    def __init__(self) -> None:
        self._accounts: dict[tuple[str, ...], int] = {}

    def recognised(self, credential: Credential, account_id: int) -> None:
        """Note that a store has recognised a credential as one of this account."""
        if credential.token_account is None and self._accounts.get(credential.key_digests) is None:
            if len(self._accounts) >= MAX_ENTRIES:
                del self._accounts[next(iter(self._accounts))]  # the oldest
            self._accounts[credential.key_digests] = account_id

    def of(self, credential: Credential) -> int | None:
        """The account of a credential that was recognised before; a token holds its own."""
        if credential.token_account is not None:
            return credential.token_account
        return self._accounts.get(credential.key_digests)
