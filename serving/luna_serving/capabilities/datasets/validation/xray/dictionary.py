"""What the standard names: transfer syntaxes, SOP classes and elements (PS3.5 Annex A, PS3.4 Annex B, PS3.6)."""

from dataclasses import dataclass
from functools import cache
from typing import Final


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """How a data set and its pixels are encoded."""

    uid: str
    name: str
    explicit: bool = True
    little: bool = True
    compressed: bool = False
    plugin: str | None = None
    """pydicom's decoder; one only, so that a broken file is not tried with several."""
    codestream: str | None = None
    """Format of the fragments: `jpeg`, `j2k` or `rle`."""
    lossy: bool = False


def _compressed(uid: str, name: str, plugin: str, codestream: str, *, lossy: bool = False) -> TransferSyntax:
    return TransferSyntax(
        f"1.2.840.10008.1.2.{uid}", name, compressed=True, plugin=plugin, codestream=codestream, lossy=lossy
    )


DEFLATED: Final = "1.2.840.10008.1.2.1.99"
TRANSFER_SYNTAXES: Final = {
    syntax.uid: syntax
    for syntax in (
        TransferSyntax("1.2.840.10008.1.2", "Implicit VR Little Endian", explicit=False),
        TransferSyntax("1.2.840.10008.1.2.1", "Explicit VR Little Endian"),
        TransferSyntax("1.2.840.10008.1.2.2", "Explicit VR Big Endian", little=False),
        _compressed("4.50", "JPEG Baseline", "pillow", "jpeg", lossy=True),
        _compressed("4.51", "JPEG Extended", "gdcm", "jpeg", lossy=True),
        _compressed("4.57", "JPEG Lossless", "gdcm", "jpeg"),
        _compressed("4.70", "JPEG Lossless SV1", "gdcm", "jpeg"),
        _compressed("4.80", "JPEG-LS Lossless", "pyjpegls", "jpeg"),
        _compressed("4.81", "JPEG-LS Near-lossless", "pyjpegls", "jpeg", lossy=True),
        _compressed("4.90", "JPEG 2000 Lossless", "pylibjpeg", "j2k"),
        _compressed("4.91", "JPEG 2000", "pylibjpeg", "j2k", lossy=True),
        _compressed("4.201", "High-Throughput JPEG 2000 Lossless", "pylibjpeg", "j2k"),
        _compressed("4.202", "High-Throughput JPEG 2000 with RPCL Lossless", "pylibjpeg", "j2k"),
        _compressed("4.203", "High-Throughput JPEG 2000", "pylibjpeg", "j2k", lossy=True),
        _compressed("5", "RLE Lossless", "pylibjpeg", "rle"),
    )
}
REFUSED_SYNTAXES: Final = {
    "1.2.840.10008.1.2.1.98": "Encapsulated Uncompressed",
    "1.2.840.10008.1.2.4.94": "JPIP Referenced",
    "1.2.840.10008.1.2.4.95": "JPIP Referenced Deflate",
    "1.2.840.10008.1.2.4.100": "MPEG2",
    "1.2.840.10008.1.2.4.102": "MPEG-4 AVC/H.264",
    "1.2.840.10008.1.2.4.107": "HEVC/H.265",
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
}

_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
CR: Final = f"{_STORAGE}1"
DX: Final = f"{_STORAGE}1.1"
# Accepted, with a warning: PS3.3 A.27, A.28 and the "for processing" twin of DX.
OTHER_XRAY: Final = {
    f"{_STORAGE}1.1.1": "a DX image for processing: raw detector values, not meant for display",
    f"{_STORAGE}1.2": "a mammogram",
    f"{_STORAGE}1.2.1": "a mammogram for processing: raw detector values, not meant for display",
    f"{_STORAGE}1.3": "an intra-oral image",
    f"{_STORAGE}1.3.1": "an intra-oral image for processing: raw detector values, not meant for display",
}
OTHER_CLASSES: Final = {
    f"{_STORAGE}2": "a CT image",
    f"{_STORAGE}2.1": "an enhanced CT image",
    f"{_STORAGE}4": "an MR image",
    f"{_STORAGE}4.1": "an enhanced MR image",
    f"{_STORAGE}3.1": "an ultrasound multi-frame image",
    f"{_STORAGE}6.1": "an ultrasound image",
    f"{_STORAGE}7": "a secondary capture: a copy of a screen or scan",
    f"{_STORAGE}7.2": "a multi-frame secondary capture",
    f"{_STORAGE}12.1": "an X-ray angiogram",
    f"{_STORAGE}12.2": "a fluoroscopy",
    f"{_STORAGE}13.1.3": "a breast tomosynthesis",
    f"{_STORAGE}20": "a nuclear medicine image",
    f"{_STORAGE}128": "a PET image",
    f"{_STORAGE}104.1": "an encapsulated PDF",
    f"{_STORAGE}88.67": "a dose report",
    "1.2.840.10008.1.3.10": "a DICOMDIR",
}
MODALITIES: Final = {
    CR: ("CR", "DX"),
    DX: ("DX", "CR", "RG"),
    f"{_STORAGE}1.1.1": ("DX",),
    f"{_STORAGE}1.2": ("MG",),
    f"{_STORAGE}1.2.1": ("MG",),
    f"{_STORAGE}1.3": ("IO", "PX"),
    f"{_STORAGE}1.3.1": ("IO", "PX"),
}
PHOTOMETRIC: Final = frozenset(
    {
        "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT",
        "YBR_PARTIAL_420", "HSV", "ARGB", "CMYK",
    }
)  # fmt: skip


@cache
def name_of(tag: int) -> str:
    """Name of an element; never taken from the file."""
    from pydicom.datadict import dictionary_description

    try:
        return dictionary_description(tag)
    except KeyError:
        return "Private element" if tag >> 16 & 1 else "Unknown element"


@cache
def vr_of(tag: int) -> str:
    """VR that the standard gives an element, the first where it allows several."""
    from pydicom.datadict import dictionary_VR

    if tag & 0xFFFF == 0:
        return "UL"
    try:
        return dictionary_VR(tag).split(" or ", maxsplit=1)[0]
    except KeyError:
        return "UN"
