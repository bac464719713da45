"""Statistics of an image's canonical pixels: constant, clipped, few grey levels, constant borders."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from luna_serving.capabilities.datasets.validation.xray import rules
from luna_serving.capabilities.datasets.validation.xray.geometry import Geometry
from luna_serving.capabilities.datasets.validation.xray.report import Report

# Of the image without its constant borders. Raw CR images of pydicom-data have below 0.001 % at either end, one with a
# white mask has 41 %.
MAX_CLIPPED: Final = 0.2
MAX_BORDERS: Final = 0.25
MIN_LEVELS: Final = 64
# Pixels per side of a sample.
_SAMPLED: Final = 768
_MAX_BINS: Final = 1 << 20


def check_statistics(pixels: npt.NDArray[Any], geometry: Geometry, report: Report, *, tag: int | None) -> bool:
    """Check canonical pixels; return whether they are constant."""
    rows = _inner(pixels.min(axis=1), pixels.max(axis=1))
    if rows is None:
        report.add(rules.CONSTANT, "Every pixel has the same value.", tag=tag)
        return True
    columns = _inner(pixels.min(axis=0), pixels.max(axis=0)) or slice(0, pixels.shape[1])
    image = pixels[rows, columns]
    lost = 1 - image.size / pixels.size
    if lost > MAX_BORDERS:
        report.add(rules.BORDERS, f"{lost:.0%} of the pixels are constant borders.", tag=tag)
    # A sample tells shares and a small number of levels as well as all pixels do, in a tenth of the time.
    image = image[:: max(image.shape[0] // _SAMPLED, 1), :: max(image.shape[1] // _SAMPLED, 1)]
    counts = _histogram(image)
    if geometry.padding is not None:
        counts = _without_padding(counts, image, geometry)
    used = np.flatnonzero(counts)
    if len(used) <= 1:
        report.add(rules.CONSTANT, "Every pixel but the borders and the padding has the same value.", tag=tag)
        return True
    for end, where in (("least", used[0]), ("greatest", used[-1])):
        share = counts[where] / counts.sum()
        if share > MAX_CLIPPED:
            report.add(rules.CLIPPED, f"{share:.0%} of the pixels have the {end} value.", tag=tag)
    if len(used) < MIN_LEVELS:
        report.add(rules.FEW_LEVELS, f"The image uses {len(used)} grey levels of {1 << geometry.bits_stored}.", tag=tag)
    return False


def _inner(least: npt.NDArray[Any], greatest: npt.NDArray[Any]) -> slice | None:
    """The lines from the first to the last that is not constant; None if all lines of all values are one value."""
    varied = np.flatnonzero(least != greatest)
    if len(varied) == 0:
        return None if least.min() == least.max() else slice(0, len(least))
    return slice(int(varied[0]), int(varied[-1]) + 1)


def _histogram(image: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Pixels by value, from the least value on; a wide range is cut into bins."""
    low, high = int(image.min()), int(image.max())
    shift = max((high - low).bit_length() - _MAX_BINS.bit_length() + 1, 0)
    return np.bincount((image.ravel().astype(np.int64) - low) >> shift)


def _without_padding(
    counts: npt.NDArray[np.int64], image: npt.NDArray[Any], geometry: Geometry
) -> npt.NDArray[np.int64]:
    value = geometry.canonical_padding
    index = None if value is None else value - int(image.min())
    if index is not None and 0 <= index < len(counts) <= _MAX_BINS // 2:
        counts[index] = 0
    return counts
