"""Decodes pixels and checks them; reduces them to what the checks of the set need."""

import hashlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from luna_serving.capabilities.datasets.validation.xray import rules
from luna_serving.capabilities.datasets.validation.xray.codestreams import check_codestream
from luna_serving.capabilities.datasets.validation.xray.dictionary import TransferSyntax
from luna_serving.capabilities.datasets.validation.xray.elements import PIXELS, Element, Walk
from luna_serving.capabilities.datasets.validation.xray.geometry import Geometry, Scaling
from luna_serving.capabilities.datasets.validation.xray.report import Report
from luna_serving.capabilities.datasets.validation.xray.statistics import check_statistics
from luna_serving.capabilities.datasets.validation.xray.summary import THUMBNAIL, Reduced

Pixels = npt.NDArray[Any]
"""Rows x columns, integers."""

_HASH_DIGITS: Final = 32
# Enough pixels per side for the means of a thumbnail.
_SAMPLED: Final = 512
_UINT16_MAX: Final = 65_535


def decode(data: memoryview, element: Element, syntax: TransferSyntax, geometry: Geometry) -> Pixels:
    """Stored values of an image; may raise anything that a decoder raises."""
    if not syntax.compressed:
        return _uncompressed(data, element, syntax, geometry)
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    # pydicom annotates each keyword with the type of all of them.
    options: Any = {
        "rows": geometry.rows,
        "columns": geometry.columns,
        "samples_per_pixel": 1,
        "number_of_frames": 1,
        "bits_allocated": geometry.bits_allocated,
        "bits_stored": geometry.bits_stored,
        "photometric_interpretation": geometry.photometric,
        "pixel_representation": int(geometry.signed),
        "pixel_keyword": "PixelData",
    }
    value = bytes(data[element.start : element.start + element.length])
    array, _ = get_decoder(UID(syntax.uid)).as_array(value, raw=True, decoding_plugin=syntax.plugin or "", **options)
    return array.reshape(geometry.rows, geometry.columns)


def _uncompressed(data: memoryview, element: Element, syntax: TransferSyntax, geometry: Geometry) -> Pixels:
    shape = geometry.rows, geometry.columns
    kind = "i" if geometry.signed else "u"
    view = data[element.start : element.start + geometry.pixel_bytes]
    if geometry.bits_allocated == 16:
        array: Pixels = np.frombuffer(view, f"{'<' if syntax.little else '>'}{kind}2").reshape(shape)
        return array if syntax.little else array.astype(f"{kind}2")
    if not syntax.little and element.vr == "OW" and geometry.pixel_bytes % 2 == 0:
        view = memoryview(np.frombuffer(view, ">u2").astype("<u2").tobytes())
    return np.frombuffer(view, f"{kind}1").reshape(shape)


def check_pixels(
    data: memoryview, walk: Walk, element: Element, syntax: TransferSyntax, geometry: Geometry, report: Report
) -> Reduced | None:
    """Check the pixels of a DICOM file; None if they cannot be decoded."""
    if syntax.codestream is not None:
        before = report.errors
        stream = b"".join(bytes(data[at : at + length]) for at, length in walk.fragments[1:])
        check_codestream(syntax.codestream, stream, geometry, report)
        if report.errors > before:
            return None
    try:
        stored = decode(data, element, syntax, geometry)
    except (MemoryError, KeyboardInterrupt, SystemExit):
        raise
    # Decoders raise what they like, and their texts may quote the file. A panic of Rust's is no Exception.
    except BaseException as error:  # noqa: BLE001
        message = f"The decoder of {syntax.name} fails with {type(error).__name__}."
        report.add(rules.UNDECODABLE, message, tag=PIXELS)
        return None
    return check_stored(stored, geometry, report, tag=PIXELS)


def check_stored(stored: Pixels, geometry: Geometry, report: Report, *, tag: int | None) -> Reduced:
    """Check decoded pixels."""
    low, high = int(stored.min()), int(stored.max())
    bits = geometry.bits_stored
    least, most = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if geometry.signed else (0, (1 << bits) - 1)
    if low < least or high > most:
        report.add(rules.RANGE, f"Values from {low} to {high} do not fit in {bits} bits.", tag=tag)
    scaling = geometry.scaling
    pixels = canonical(stored, scaling, low, high)
    flat = check_statistics(pixels, geometry, report, tag=tag)
    hashed = hash_of(pixels, scaling.kept)
    return Reduced(hashed) if flat else Reduced(hashed, *reduce(pixels))


def canonical(stored: Pixels, scaling: Scaling, low: int, high: int) -> Pixels:
    """Pixels in one form for all encodings: uint16 where they fit, else int32."""
    factor, offset, _ = scaling
    ends = sorted((factor * low + offset, factor * high + offset))
    fits = ends[0] >= 0 and ends[1] <= _UINT16_MAX
    if (factor, offset) == (1, 0):
        return stored.astype(np.uint16 if fits else np.int32, copy=False)
    if factor == -1 and fits and stored.dtype == np.uint16 and offset <= _UINT16_MAX:
        return np.subtract(np.uint16(offset), stored)
    wide = stored.astype(np.int32)
    wide *= factor
    wide += offset
    return wide.astype(np.uint16) if fits else wide


def hash_of(pixels: Pixels, kept: tuple[float, float]) -> str:
    """Hash of canonical pixels: of their shape, the rescale that is not applied and their values."""
    state = hashlib.sha256(repr((pixels.shape, pixels.dtype.str, kept)).encode())
    state.update(np.ascontiguousarray(pixels).data)
    return state.hexdigest()[:_HASH_DIGITS]


def reduce(pixels: Pixels) -> tuple[int, str]:
    """DHash of 64 bits and thumbnail, both of means over areas, so that neither sees single pixels.

    The hash compares neighbours of 8 x 9 means from left to right (N. Krawetz, "Kind of like that", 2013): a change of
    window, a rescale or a compression leaves it nearly alone, an inversion turns every bit.
    """
    sampled = pixels[:: max(pixels.shape[0] // _SAMPLED, 1), :: max(pixels.shape[1] // _SAMPLED, 1)]
    rows = _edges(sampled.shape[0], THUMBNAIL)
    sums = np.add.reduceat(sampled, rows[:-1], axis=0, dtype=np.int64)
    thumbnail = _columns(sums, THUMBNAIL) / np.diff(rows)[:, None]
    small = _columns(sums.reshape(8, THUMBNAIL // 8, -1).sum(axis=1), 9)
    gradients = (small[:, 1:] > small[:, :-1]).ravel()
    low, high = thumbnail.min(), thumbnail.max()
    scaled = (thumbnail - low) * (255 / max(high - low, 1e-9))
    return int.from_bytes(np.packbits(gradients).tobytes()), scaled.round().astype(np.uint8).tobytes().hex()


def _edges(size: int, parts: int) -> npt.NDArray[np.int64]:
    """Where each of the parts begins, and the end; below `parts` pixels some share one."""
    return np.linspace(0, size, parts + 1).astype(np.int64)


def _columns(sums: npt.NDArray[np.int64], parts: int) -> npt.NDArray[np.float64]:
    edges = _edges(sums.shape[1], parts)
    return np.add.reduceat(sums, edges[:-1], axis=1) / np.maximum(np.diff(edges), 1)
