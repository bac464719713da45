"""Recognises a file: its compression and format, or the finding that says why it is not read."""

from dataclasses import dataclass
from pathlib import Path

from luna_serving.capabilities.datasets.validation.tables import rules
from luna_serving.capabilities.datasets.validation.tables.formats import (
    HEAD_BYTES,
    Compression,
    Format,
    compression_of,
    format_of,
    named,
    refused,
)
from luna_serving.capabilities.datasets.validation.tables.opening import opened
from luna_serving.capabilities.datasets.validation.tables.tally import Stopped, Tally


@dataclass(frozen=True, slots=True)
class Recognised:
    """How a file is to be read."""

    format: Format
    compression: Compression


def recognised(file: Path, name: str, tally: Tally) -> Recognised:
    """Recognise a file by its content; the name only adds a warning.

    Args:
        file: its place on this machine.
        name: its name in the set.
        tally: takes the findings.

    Raises:
        Stopped: the file is not read; a finding says why.
    """
    with file.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if not head:
        tally.now(rules.EMPTY, "The file has no bytes.")
        raise Stopped
    compression = compression_of(head)
    if compression is not Compression.NONE:
        try:
            with opened(file, compression) as unpacked:
                head = unpacked.read(HEAD_BYTES)
        except OSError as error:
            tally.now(rules.UNREADABLE, f"The {compression} stream cannot be read: {error}.")
            raise Stopped from None
        if not head:
            tally.now(rules.EMPTY, "The file unpacks to no bytes.")
            raise Stopped
        if compression_of(head) is not Compression.NONE:
            tally.now(rules.REFUSED_FORMAT, "The file is compressed twice.")
            raise Stopped
    if (why := refused(head, name)) is not None:
        tally.now(rules.REFUSED_FORMAT, f"The file is {why.name}. {why.why}", value=why.name)
        raise Stopped
    form = format_of(head)
    if form is None:
        tally.now(rules.UNKNOWN_FORMAT, "The content is neither text nor Parquet nor Arrow.")
        raise Stopped
    promised = named(name)
    if compression is not Compression.NONE and form is not Format.CSV:
        tally.now(rules.REFUSED_FORMAT, f"A compressed {form} file: it has compression of its own.")
        raise Stopped
    if form is Format.CSV and promised and Format.CSV not in promised:
        tally.now(rules.UNREADABLE, f"The name says {promised[0]}; the content is text.")
        raise Stopped
    if form not in promised:
        tally.now(rules.OTHER_CONTENT, f"The content is {form}.")
    return Recognised(form, compression)
