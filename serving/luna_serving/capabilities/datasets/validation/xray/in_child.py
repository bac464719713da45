"""What the sandbox's children run."""

import errno
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from luna_serving.capabilities.datasets.validation.contract import Labels
from luna_serving.capabilities.datasets.validation.findings import Findings
from luna_serving.capabilities.datasets.validation.sandbox.limits import Limits
from luna_serving.capabilities.datasets.validation.sandbox.messages import finding_message
from luna_serving.capabilities.datasets.validation.xray.files import check_file
from luna_serving.capabilities.datasets.validation.xray.labels import read_labels

_HERE: Final = "luna_serving.capabilities.datasets.validation.xray"
IMAGE: Final = f"{_HERE}.in_child:image"
LABELS: Final = f"{_HERE}.in_child:labels"
PRELOAD: Final = (f"{_HERE}.preload",)
# The largest image in JPEG 2000 needs 300 MB beyond the libraries.
LIMITS: Final = Limits(memory_bytes=360 << 20, cpu_s=120, wall_s=300)
# Three cells of 255 characters, each six bytes as JSON, stay below the sandbox's longest line.
_ROWS_PER_MESSAGE: Final = 50

Emit = Callable[[Mapping[str, Any]], None]


class Stopped(Exception):
    """The validator stopped; tells the type of the error only, for the error's text may quote the file."""


@contextmanager
def _silenced() -> Iterator[None]:
    """Errors lose their text, which may quote the file."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  any error's text may quote the file
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            raise MemoryError from None
        raise Stopped(type(error).__name__) from None


def image(arguments: Mapping[str, Any], emit: Emit) -> Mapping[str, Any]:
    """Validate an image.

    Args:
        arguments: `file`, its place on this machine; `path`, its name in the set; `sha256`; `salt` in hexadecimal.
        emit: takes findings.

    Returns:
        `summary`, null for a file that is no image.
    """
    findings = Findings(lambda finding: emit(finding_message(finding)), listed=0)
    with _silenced():
        summary = check_file(
            Path(arguments["file"]),
            arguments["path"],
            findings,
            salt=bytes.fromhex(arguments["salt"]),
            digest=arguments["sha256"],
        )
    return {"summary": None if summary is None else summary.to_json()}


def labels(arguments: Mapping[str, Any], emit: Emit) -> Mapping[str, Any]:
    """Read a labels file.

    Args:
        arguments: `file` and `salt` as for an image; `labels`, those of the contract.
        emit: takes findings and `labels`, rows as the arguments of `Label`.

    Returns:
        `rows`, their number.
    """
    findings = Findings(lambda finding: emit(finding_message(finding)), listed=0)
    with _silenced():
        rows = read_labels(
            Path(arguments["file"]), Labels(**arguments["labels"]), findings, salt=bytes.fromhex(arguments["salt"])
        )
    for at in range(0, len(rows), _ROWS_PER_MESSAGE):
        emit({"labels": [row.to_json() for row in rows[at : at + _ROWS_PER_MESSAGE]]})
    return {"rows": len(rows)}
