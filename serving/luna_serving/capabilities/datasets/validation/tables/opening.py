"""Opens a file for reading as a stream of bytes, decompressed, with a bound on what it may unpack to."""

from pathlib import Path
from typing import Final

import pyarrow as pa

from luna_serving.capabilities.datasets.validation.findings import Rule
from luna_serving.capabilities.datasets.validation.tables import rules
from luna_serving.capabilities.datasets.validation.tables.formats import Compression
from luna_serving.capabilities.datasets.validation.tables.tally import Stopped, Tally

GREATEST_BYTES: Final = 8 << 30
"""Of a decompressed file."""
GREATEST_RATIO: Final = 250
"""Of decompressed to compressed bytes. Real CSV reaches 5 to 30; constant columns a hundred."""
_RATIO_FROM: Final = 64 << 20


def opened(path: Path, compression: Compression) -> pa.NativeFile:
    """A file as a stream, decompressed. The caller closes it."""
    if compression is Compression.NONE:
        return pa.OSFile(str(path))
    return pa.CompressedInputStream(pa.OSFile(str(path)), compression.value)


class Bounded:
    """A stream that stops where a decompression bomb would go on. What `pyarrow.PythonFile` needs of a file."""

    def __init__(self, path: Path, compression: Compression, tally: Tally) -> None:
        self._stream = opened(path, compression)
        self._compressed = path.stat().st_size
        self._compression = compression
        self._tally = tally
        self._read = 0
        self.stopped: Stopped | None = None
        """Set before an error that passes through Arrow, which changes its type."""
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        try:
            data: bytes = self._stream.read(min(size, 1 << 20) if size >= 0 else 1 << 20)
        except OSError as error:
            raise self._stop(rules.UNREADABLE, f"The {self._compression} stream breaks off: {error}.") from error
        self._read += len(data)
        ratio = self._read / max(1, self._compressed)
        if self._compression is not Compression.NONE and (
            self._read > GREATEST_BYTES or (self._read > _RATIO_FROM and ratio > GREATEST_RATIO)
        ):
            unpacked = f"{self._compressed:,} bytes unpack to more than {self._read:,}"
            raise self._stop(rules.BOMB, f"{unpacked}; at most {GREATEST_RATIO} times the size is read.")
        return data

    def for_arrow(self) -> pa.NativeFile:
        """What Arrow reads: the file itself where nothing is unpacked."""
        return self._stream if self._compression is Compression.NONE else pa.PythonFile(self, mode="r")

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        self.closed = True

    def readable(self) -> bool:
        """For reading."""
        return True

    def writable(self) -> bool:
        """Not for writing."""
        return False

    def seekable(self) -> bool:
        """From its beginning to its end."""
        return False

    def _stop(self, rule: Rule, message: str) -> Stopped:
        if self.stopped is None:
            self._tally.now(rule, message)
            self.stopped = Stopped()
        return self.stopped
