"""Password hashes: Argon2id (RFC 9106) through pwdlib, a few at a time, off the event loop."""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

from luna_serving.settings import Argon2Settings
from luna_serving.wire import problems

# NIST SP 800-63B, section 5.1.1.2: at least 8 characters, no rules about their kinds, and long phrases are welcome.
MIN_CHARACTERS: Final = 8
# Bounds what one request makes the hash read.
MAX_CHARACTERS: Final = 1024
# Hashes that wait in one process; a hash takes about a tenth of a second.
MAX_WAITING: Final = 32

T = TypeVar("T")


class UnfitPassword(ValueError):
    """The password may not be set; says what is wrong with it."""


class Passwords:
    """Hashes and verifies. Owns its threads."""

    def __init__(self, settings: Argon2Settings) -> None:
        argon2 = Argon2Hasher(time_cost=settings.passes, memory_cost=settings.memory_kib, parallelism=settings.lanes)
        self._hashes = PasswordHash((argon2,))
        self._threads = ThreadPoolExecutor(settings.at_once, "argon2")
        self._waiting = 0
        self._most = settings.at_once + MAX_WAITING
        # Verified in place of a person's who is unknown or has no password, so that it takes the same time.
        self._nobody: str | None = None

    async def hash(self, password: str, email: str) -> str:
        """The hash of a new password.

        Raises:
            UnfitPassword: it is too short, too long, or the address itself.
            Problem: 503, too many wait.
        """
        checked = fit(password, email)
        return await self._aside(lambda: self._hashes.hash(checked))

    async def verify(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        """Whether a password is the one of a stored hash, and its hash under the present parameters if they changed.

        Takes as long without a stored hash as with one.

        Raises:
            Problem: 503, too many wait.
        """

        def compare() -> tuple[bool, str | None]:
            against = stored
            if against is None:
                if self._nobody is None:
                    self._nobody = self._hashes.hash("of nobody")
                against = self._nobody
            try:
                same, renewed = self._hashes.verify_and_update(_normalised(password), against)
            except UnknownHashError:
                return False, None
            return same and stored is not None, renewed

        return await self._aside(compare)

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _aside(self, work: Callable[[], T]) -> T:
        if self._waiting >= self._most:
            raise problems.overloaded()
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


def fit(password: str, email: str) -> str:
    """A password that may be set, normalised.

    Raises:
        UnfitPassword: it is too short, too long, or the address itself.
    """
    found = _normalised(password)
    if not MIN_CHARACTERS <= len(found) <= MAX_CHARACTERS:
        raise UnfitPassword(f"Must have {MIN_CHARACTERS} to {MAX_CHARACTERS} characters.")
    if found.lower() in {email, email.partition("@")[0]} or len(set(found)) < 3:
        raise UnfitPassword("Is too easy to guess. Choose one that is neither the address nor a repeated character.")
    return found


def _normalised(password: str) -> str:
    # Two keyboards may send one letter as one code point or as two.
    return unicodedata.normalize("NFKC", password)
