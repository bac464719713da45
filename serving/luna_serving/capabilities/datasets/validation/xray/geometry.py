"""Geometry and depth of an image, held against limits and against the length of its pixels, before any decode."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from luna_serving.capabilities.datasets.validation.xray import rules
from luna_serving.capabilities.datasets.validation.xray.dictionary import PHOTOMETRIC, TransferSyntax, name_of
from luna_serving.capabilities.datasets.validation.xray.elements import PIXELS, UNDEFINED, Walk
from luna_serving.capabilities.datasets.validation.xray.report import Report, shown
from luna_serving.capabilities.datasets.validation.xray.values import Values

# 5,792 x 5,792: mammograms have 4,800 x 6,000 at most, flat panels 4,300 x 4,300. A decoder needs 8 bytes per pixel.
MAX_PIXELS: Final = 1 << 25
MIN_SIDE: Final = 32
_SAMPLES: Final = 0x00280002
_PHOTOMETRIC: Final = 0x00280004
_FRAMES: Final = 0x00280008
_ROWS: Final = 0x00280010
_COLUMNS: Final = 0x00280011
_ALLOCATED: Final = 0x00280100
_STORED: Final = 0x00280101
_HIGH: Final = 0x00280102
_SIGN: Final = 0x00280103
_INTERCEPT: Final = 0x00281052
_SLOPE: Final = 0x00281053
_SPACINGS: Final = (0x00280030, 0x00181164)
_LOSSY: Final = 0x00282110
_PADDING: Final = 0x00280120
# Beyond them a rescaled value has no 32-bit integer.
_MAX_RESCALE: Final = 1e9
_INT32_MAX: Final = 2**31 - 1


class Scaling(NamedTuple):
    """canonical = factor x stored + offset."""

    factor: int
    offset: int
    kept: tuple[float, float]
    """Slope and intercept that are not applied."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """What a decoder needs, all of it checked."""

    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    photometric: str
    slope: float
    intercept: float
    padding: int | None
    """Pixel Padding Value as stored: pixels outside of the image."""

    @property
    def scaling(self) -> "Scaling":
        """From stored to canonical values.

        MONOCHROME1 is inverted within the bits stored: v becomes 2^bits - 1 - v, of signed values -1 - v. A rescale by
        integers is applied; another would round, and is kept beside the values.
        """
        slope, intercept = self.slope, self.intercept
        whole = slope == int(slope) and intercept == int(intercept)
        if not whole or (abs(slope) + 1) * (1 << 16) + abs(intercept) > _INT32_MAX:
            factor, offset, kept = 1, 0, (slope, intercept)
        else:
            factor, offset, kept = int(slope), int(intercept), (1.0, 0.0)
        if self.photometric == "MONOCHROME1":
            top = -1 if self.signed else (1 << self.bits_stored) - 1
            factor, offset = -factor, factor * top + offset
        return Scaling(factor, offset, kept)

    @property
    def canonical_padding(self) -> int | None:
        """Pixel Padding Value among canonical values."""
        if self.padding is None:
            return None
        half = 1 << 15
        stored = (self.padding ^ half) - half if self.signed else self.padding
        scaling = self.scaling
        return scaling.factor * stored + scaling.offset

    @property
    def pixel_bytes(self) -> int:
        """Bytes of the decoded pixels."""
        return self.rows * self.columns * self.bits_allocated // 8


def check_geometry(walk: Walk, values: Values, syntax: TransferSyntax, report: Report) -> Geometry | None:
    """Check the image pixel module; None if a finding forbids to decode."""
    before = report.errors
    tags = (_SAMPLES, _ROWS, _COLUMNS, _ALLOCATED, _STORED, _HIGH, _SIGN)
    numbers = {tag: values.integer(tag) for tag in tags}
    for tag, number in numbers.items():
        if number is None:
            report.add(rules.REQUIRED, f"{name_of(tag)} {shown(tag)} is missing or empty.", tag=tag)
    photometric = _photometric(values, report)
    samples, rows, columns, allocated, stored, high, sign = (numbers[tag] or 0 for tag in tags)
    if numbers[_SAMPLES] not in {None, 1}:
        report.add(rules.SAMPLES, f"The image has {samples} samples per pixel.", tag=_SAMPLES)
    _check_bits(allocated, stored, high, sign, report)
    _check_size(rows, columns, values, report)
    slope, intercept = _rescale(values, report)
    _check_spacing(values, report)
    if PIXELS not in values.by_tag:
        report.add(rules.REQUIRED, f"Pixel Data {shown(PIXELS)} is missing.", tag=PIXELS)
    if report.errors > before:
        return None
    padding = values.integer(_PADDING)
    geometry = Geometry(rows, columns, allocated, stored, bool(sign), photometric, slope, intercept, padding)
    _check_length(walk, values, syntax, geometry, report)
    if syntax.lossy or values.text(_LOSSY) == "01":
        report.add(rules.LOSSY, "The pixels were compressed with loss.", tag=_LOSSY)
    return None if report.errors > before else geometry


def _photometric(values: Values, report: Report) -> str:
    text = values.text(_PHOTOMETRIC)
    if not text:
        report.add(rules.REQUIRED, f"Photometric Interpretation {shown(_PHOTOMETRIC)} is missing.", tag=_PHOTOMETRIC)
    elif text == "MONOCHROME1":
        report.add(rules.INVERTED, "The photometric interpretation is MONOCHROME1.", tag=_PHOTOMETRIC)
    elif text != "MONOCHROME2":
        name = text if text in PHOTOMETRIC else "unknown"
        report.add(rules.PHOTOMETRIC, f"The photometric interpretation is {name}.", tag=_PHOTOMETRIC)
    return text


def _check_bits(allocated: int, stored: int, high: int, sign: int, report: Report) -> None:
    if allocated not in {8, 16}:
        report.add(rules.BITS, f"Bits Allocated is {allocated}.", tag=_ALLOCATED)
    if not 1 <= stored <= allocated:
        report.add(rules.BITS, f"Bits Stored is {stored}, with {allocated} allocated.", tag=_STORED)
    if high != stored - 1:
        report.add(rules.BITS, f"High Bit is {high}, with {stored} bits stored.", tag=_HIGH)
    if sign not in {0, 1}:
        report.add(rules.BITS, f"Pixel Representation is {sign}.", tag=_SIGN)
    elif sign:
        report.add(rules.SIGN, "The pixels are signed.", tag=_SIGN)


def _check_size(rows: int, columns: int, values: Values, report: Report) -> None:
    frames = values.decimal(_FRAMES, 1)
    if frames is not None and frames != 1:
        report.add(rules.FRAMES, "Number of Frames is not 1.", tag=_FRAMES)
    if rows * columns > MAX_PIXELS:
        report.add(rules.TOO_LARGE, f"{rows} rows x {columns} columns are more than {MAX_PIXELS:,} pixels.", tag=_ROWS)
    elif min(rows, columns) < MIN_SIDE:
        report.add(rules.TOO_SMALL, f"The image has {rows} rows and {columns} columns.", tag=_ROWS)


def _rescale(values: Values, report: Report) -> tuple[float, float]:
    slope, intercept = values.decimal(_SLOPE, 1), values.decimal(_INTERCEPT, 0)
    if slope is None or intercept is None:
        return 1, 0
    if slope == 0 or not abs(slope) < _MAX_RESCALE or not abs(intercept) < _MAX_RESCALE:
        report.add(rules.RESCALE, "The slope is zero, or slope or intercept are too large.", tag=_SLOPE)
    return slope, intercept


def _check_spacing(values: Values, report: Report) -> None:
    if not any((values.decimal(tag, 0) or 0) > 0 for tag in _SPACINGS):
        report.add(rules.SPACING, "The image has no pixel spacing above zero.", tag=_SPACINGS[1])


def _check_length(walk: Walk, values: Values, syntax: TransferSyntax, geometry: Geometry, report: Report) -> None:
    element = values.by_tag[PIXELS]
    expected = geometry.pixel_bytes
    if syntax.compressed:
        held = sum(length for _, length in walk.fragments[1:])
        if not walk.fragments:
            report.add(rules.PIXEL_LENGTH, "The pixels are not in fragments, though compressed.", tag=PIXELS)
        elif held == 0:
            report.add(rules.PIXEL_LENGTH, "The compressed pixels have no bytes.", tag=PIXELS)
        elif held > 2 * expected + (1 << 16):
            report.add(rules.PIXEL_LENGTH, f"{held} compressed bytes stand for {expected}.", tag=PIXELS)
    elif walk.fragments or element.length == UNDEFINED:
        report.add(rules.PIXEL_LENGTH, "The pixels are in fragments, though not compressed.", tag=PIXELS)
    elif element.length < expected:
        report.add(
            rules.PIXEL_LENGTH,
            f"{geometry.rows} x {geometry.columns} pixels of {geometry.bits_allocated} bits need {expected} bytes; "
            f"there are {element.length}.",
            tag=PIXELS,
        )
    elif element.length > expected + expected % 2:
        report.add(rules.PIXEL_PADDING, f"{element.length - expected} bytes follow the pixels.", tag=PIXELS)
