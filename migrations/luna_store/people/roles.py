"""What a person may do with an account."""

from enum import IntEnum
from typing import Final


class Role(IntEnum):
    """Roles, each of which may do what the ones below it may."""

    VIEWER = 1
    """Reads; computes nothing."""
    MEMBER = 2
    """Calls, and keeps models, data sets and jobs. API keys act as this."""
    ADMIN = 3
    """Also keeps members, rules and keys."""

    @property
    def word(self) -> str:
        """The role on the wire, in the CRD and in tables."""
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> "Role":
        """The role of a word.

        Raises:
            ValueError: it is no role; names the roles.
        """
        try:
            return _BY_WORD[word]
        except KeyError:
            raise ValueError(f"role must be {', '.join(WORDS[:-1])} or {WORDS[-1]}, not {word!r}.") from None


WORDS: Final = tuple(role.word for role in Role)
_BY_WORD: Final = {role.word: role for role in Role}
