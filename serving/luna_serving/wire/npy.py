"""Arrays of numbers in NumPy's .npy format (NEP 1).

The header is a Python literal and the format allows pickled objects: neither is evaluated here. A header has one of the
few forms that writers of the format use, and the data is as long as it says.
"""

import io
import re
from math import prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError

NPY: Final = "application/x-npy"
_MAGIC: Final = b"\x93NUMPY"
# By the major version: bytes of the header's length.
_LENGTH: Final = {1: 2, 2: 4, 3: 4}
_MOST_HEADER: Final = 4096
_HEADER: Final = re.compile(
    rb"\{\s*'descr':\s*'(?P<descr>[^']{1,32})',\s*'fortran_order':\s*(?P<fortran>True|False),"
    rb"\s*'shape':\s*\((?P<shape>[0-9, ]{0,200})\),?\s*\}\s*"
)
_NUMBERS: Final = re.compile(r"[<>=|]?(?:f[248]|[iu][1248])")
_SAVE: Final = "Save an array of float64, such as np.save(file, np.asarray(y, dtype=float))."


def read_npy(body: bytes) -> NDArray[np.float64]:
    """The array of a file, as float64.

    Raises:
        Problem: 422, it is no .npy file, is cut off, or holds anything but numbers; says the cure.
    """
    shape, kind, fortran, begin = _head(body)
    size = prod(shape) * kind.itemsize
    if len(body) - begin != size:
        raise _bad(
            f"Holds {len(body) - begin} bytes of data; its header says {size}. Send the whole file, and one array."
        )
    array = np.frombuffer(body, kind, offset=begin).reshape(shape, order="F" if fortran else "C")
    # Not `ascontiguousarray`, which makes a list of a scalar.
    return array.astype(np.float64, order="C", copy=False)


def written_npy(array: NDArray[np.float64]) -> bytes:
    """A file with the array."""
    sink = io.BytesIO()
    np.lib.format.write_array(sink, np.ascontiguousarray(array), allow_pickle=False)
    return sink.getvalue()


def _head(body: bytes) -> tuple[tuple[int, ...], np.dtype[np.generic], bool, int]:
    """Shape, type, whether it is in Fortran's order, and where the data begins."""
    if not body.startswith(_MAGIC):
        what = "a zip archive, as np.savez writes; send one array" if body.startswith(b"PK") else "no .npy file"
        raise _bad(f"Is {what}. {_SAVE}")
    width = _LENGTH.get(body[6]) if len(body) > 6 else None
    if width is None:
        raise _bad(f"Has an unknown version. {_SAVE}")
    length = int.from_bytes(body[8 : 8 + width], "little")
    begin = 8 + width + length
    if length > _MOST_HEADER or begin > len(body):
        raise _bad("Ends within its header, or has one that is too long. Send the whole file.")
    found = _HEADER.fullmatch(body, 8 + width, begin)
    if found is None:
        raise _bad(f"Has a header that describes no plain array. {_SAVE}")
    descr = found["descr"].decode("latin-1")
    if not _NUMBERS.fullmatch(descr):
        objects = "Holds Python objects, which are never unpickled." if "O" in descr else f"Holds {descr}, not numbers."
        raise _bad(f"{objects} {_SAVE}")
    return _shape(found["shape"]), np.dtype(descr), found["fortran"] == b"True", begin


def _shape(text: bytes) -> tuple[int, ...]:
    axes = [axis.strip() for axis in text.decode().split(",")]
    if axes[-1] == "":
        axes.pop()
    if not all(axis.isdecimal() for axis in axes):
        raise _bad(f"Has a header that describes no plain array. {_SAVE}")
    return tuple(map(int, axes))


def _bad(detail: str) -> Exception:
    return problems.invalid(FieldError("", detail))
