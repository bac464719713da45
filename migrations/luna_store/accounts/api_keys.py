"""API keys: made, recognised and compared, never stored.

A key has the form `luna_<8 base62 id>_<32 hexadecimal digits: a random UUID4><6 base62 CRC32>`. The id is public (logs
and status show `luna_<id>`) and the UUID4 is the secret. With the check sum, a mistyped key is refused without asking a
store. The store keeps HMAC-SHA256(pepper, key), RFC 2104, with the pepper's name.
"""

import hmac
import re
import secrets
import string
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
SHAPE = re.compile(r"(luna_[0-9A-Za-z]{8})_([0-9a-f]{32})([0-9A-Za-z]{6})", re.ASCII)
# A pepper of less than 16 bytes could be found by search.
MIN_PEPPER_BYTES = 16


class MalformedKey(ValueError):
    """Not a Luna key: the form or the check sum is off. Check that it was copied whole."""


class PepperMissing(ValueError):
    """No usable pepper; set LUNA_PEPPERS to `<name>:<secret>`, the newest first."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A well-formed key; a store decides whether it is valid."""

    prefix: str
    """`luna_<id>`, public."""
    secret: str
    """The whole key. Never log it."""

    @classmethod
    def issue(cls) -> "ApiKey":
        """A new random key."""
        public = "".join(secrets.choice(BASE62) for _ in range(8))
        body = f"luna_{public}_{uuid.uuid4().hex}"
        return cls(prefix=f"luna_{public}", secret=body + checksum(body))

    @classmethod
    def parse(cls, presented: str) -> "ApiKey":
        """Parse a presented key.

        Raises:
            MalformedKey: it is not a Luna key, or was mistyped.
        """
        match = SHAPE.fullmatch(presented)
        if match is None or not hmac.compare_digest(match[3], checksum(presented[:-6])):
            raise MalformedKey("The API key is malformed. Check that it was copied whole.")
        return cls(prefix=match[1], secret=presented)

    def __repr__(self) -> str:
        return f"ApiKey({self.prefix}_...)"


def checksum(body: str) -> str:
    """The CRC32 of a key's body as six base62 digits."""
    number = zlib.crc32(body.encode())
    digits = []
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits.append(BASE62[digit])
    return "".join(reversed(digits))


@dataclass(frozen=True, slots=True, repr=False)
class Peppers:
    """Named server-side secrets. New keys use the first; older peppers serve the keys made under them."""

    by_name: Mapping[str, bytes]

    @classmethod
    def parse(cls, setting: str) -> "Peppers":
        """Read `name:secret[,name:secret...]`, the newest first.

        Raises:
            PepperMissing: the setting is empty, a name is missing or a secret is shorter than 16 bytes.
        """
        found: dict[str, bytes] = {}
        for entry in filter(None, (part.strip() for part in setting.split(","))):
            name, separator, secret = entry.partition(":")
            if not separator or not name or len(secret.encode()) < MIN_PEPPER_BYTES:
                raise PepperMissing(
                    f"LUNA_PEPPERS needs entries of the form name:secret with at least {MIN_PEPPER_BYTES} bytes "
                    f"of secret; entry {name!r} is not."
                )
            found[name] = secret.encode()
        if not found:
            raise PepperMissing("LUNA_PEPPERS is not set. Set it to `<name>:<secret>`, kept in a Secret.")
        return cls(MappingProxyType(found))

    @property
    def current(self) -> str:
        """The name of the pepper for new keys."""
        return next(iter(self.by_name))

    def digest(self, key: ApiKey, name: str | None = None) -> str:
        """HMAC-SHA256 of the key under the named pepper (default: the current), hexadecimal."""
        return hmac.new(self.by_name[name or self.current], key.secret.encode(), sha256).hexdigest()

    def digests(self, key: ApiKey) -> list[str]:
        """The key's digests under every pepper, the current first."""
        return [self.digest(key, name) for name in self.by_name]

    def matches(self, key: ApiKey, digest: str, name: str) -> bool:
        """Whether a stored digest is this key's, compared in constant time; False for an unknown pepper."""
        return name in self.by_name and hmac.compare_digest(self.digest(key, name), digest)

    def __reduce__(self) -> tuple[object, ...]:
        # A mapping proxy cannot be pickled, and Serve pickles what it passes to replicas.
        return (_restore, (dict(self.by_name),))


def _restore(by_name: dict[str, bytes]) -> Peppers:
    return Peppers(MappingProxyType(by_name))
