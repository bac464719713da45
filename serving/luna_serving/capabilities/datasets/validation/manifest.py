"""The files of a set, and the digest that names its content."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from luna_serving.capabilities.datasets.validation.contract import Contract, contract_json

_FORM: Final = "luna-set-1"


@dataclass(frozen=True, slots=True)
class SetFile:
    """A file of a set, on this machine."""

    path: str
    """Its name in the set."""
    file: Path
    """Where it is on this machine."""
    bytes: int
    sha256: str
    """Of its content, in hexadecimal."""


def sha256_of(file: Path) -> str:
    """The digest of a file's content."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of(files: Iterable[tuple[str, int, str]], contract: Contract) -> str:
    """The digest over a manifest: type, contract and each file's name, size and digest, in the order of their names.

    Args:
        files: name, bytes and SHA-256 of each file.
        contract: of the set.
    """
    manifest = {
        "form": _FORM,
        "type": contract.type.value,
        "contract": contract_json(contract),
        "files": [list(each) for each in sorted(files)],
    }
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
