"""Validates one file of an X-ray set."""

import hashlib
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from luna_serving.capabilities.datasets.validation.findings import Findings, of
from luna_serving.capabilities.datasets.validation.xray import rules
from luna_serving.capabilities.datasets.validation.xray.report import Report, Unreadable
from luna_serving.capabilities.datasets.validation.xray.summary import Reduced, Summary

if TYPE_CHECKING:
    from luna_serving.capabilities.datasets.validation.xray.geometry import Geometry

# Modules of the extra `imaging`.
LIBRARIES: Final = ("pydicom", "pylibjpeg", "openjpeg", "rle", "jpeg_ls", "PIL", "_gdcm")
# Pixels have 64 MiB at most; the rest is room for a compression that failed and for other elements.
MAX_FILE_BYTES: Final = 144 << 20
_DICOM_NAMES: Final = frozenset({".dcm", ".dicom", ".dic", ".ima", ""})
_BEGINNINGS: Final = (
    (b"\xff\xd8\xff", "a JPEG"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 file"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 codestream"),
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP"),
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
    (b"PK\3\4", "a ZIP archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x89HDF", "HDF5"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x80\x04", "a pickle"),
    (b"%PDF", "a PDF"),
    (b"\x5c\x01\x00\x00", "a NIfTI file"),
)


def missing_libraries() -> tuple[str, ...]:
    """Modules of the extra `imaging` that are not installed; imports none."""
    return tuple(name for name in LIBRARIES if find_spec(name) is None)


def libraries_are_there(findings: Findings) -> bool:
    """Whether the extra `imaging` is installed; a finding says if it is not."""
    missing = missing_libraries()
    if missing:
        findings.add(of(rules.NO_DECODERS, f"Missing modules: {', '.join(missing)}."))
    return not missing


def check_file(path: Path, name: str, findings: Findings, *, salt: bytes, digest: str | None = None) -> Summary | None:
    """Validate an image, cheapest checks first.

    Args:
        path: a local file.
        name: the file's name in the set.
        findings: where findings go.
        salt: the set's secret; hashes of two sets with different salts cannot be linked.
        digest: SHA-256 of the file, if it is known.

    Returns:
        What the checks of the set need; None if the file is no image.
    """
    report = Report(name, findings, salt)
    if not libraries_are_there(findings):
        return None
    with _mapped(path) as data:
        if len(data) > MAX_FILE_BYTES:
            report.add(rules.TOO_LARGE, f"The file has {len(data):,} bytes, more than {MAX_FILE_BYTES:,}.")
            return None
        try:
            summary = _check(data, name, report)
            return replace(summary, digest=digest or hashlib.sha256(data).hexdigest())
        except Unreadable as end:
            report.add(end.rule, end.message, tag=end.tag)
    return None


@contextmanager
def _mapped(path: Path) -> Iterator[memoryview]:
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            yield memoryview(b"")
            return
        # A view that an exception's traceback still holds keeps the map open; it goes with the view.
        yield memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _check(data: memoryview, name: str, report: Report) -> Summary:
    from luna_serving.capabilities.datasets.validation.xray.png import SIGNATURE

    if len(data) == 0:
        raise Unreadable(rules.TRUNCATED, "The file is empty.")
    extension = Path(name).suffix.lower()
    if bytes(data[: len(SIGNATURE)]) == SIGNATURE:
        if extension != ".png":
            report.add(rules.EXTENSION, "The file is a PNG.")
        return _check_png(data, name, report)
    if bytes(data[128:132]) != b"DICM" and (kind := _other_kind(bytes(data[:16]))):
        raise Unreadable(rules.NOT_AN_IMAGE, f"The file looks like {kind}.")
    if extension not in _DICOM_NAMES:
        report.add(rules.EXTENSION, "The file is not a PNG but DICOM, if anything.")
    return _check_dicom(data, name, report)


def _other_kind(beginning: bytes) -> str | None:
    return next((kind for mark, kind in _BEGINNINGS if beginning.startswith(mark)), None)


def _check_dicom(data: memoryview, name: str, report: Report) -> Summary:
    from luna_serving.capabilities.datasets.validation.xray.deidentification import check_identity
    from luna_serving.capabilities.datasets.validation.xray.elements import PIXELS
    from luna_serving.capabilities.datasets.validation.xray.head import check_head, open_dicom
    from luna_serving.capabilities.datasets.validation.xray.pixels import check_pixels

    opened = open_dicom(data, report)
    head = check_head(opened, report)
    check_identity(opened, report)
    summary = Summary(name, "dicom", instance=head.instance, patient=head.patient, acquisition=head.acquisition)
    if head.geometry is None:
        return summary
    element = opened.values.by_tag[PIXELS]
    reduced = check_pixels(data, opened.walk, element, opened.syntax, head.geometry, report)
    return _with_pixels(summary, head.geometry, reduced)


def _check_png(data: memoryview, name: str, report: Report) -> Summary:
    from luna_serving.capabilities.datasets.validation.xray.pixels import check_stored
    from luna_serving.capabilities.datasets.validation.xray.png import check_png, decode_png

    summary = Summary(name, "png")
    geometry = check_png(data, report)
    if geometry is None:
        return summary
    try:
        stored = decode_png(data, geometry)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  Pillow raises what it likes, and its texts may quote the file
        report.add(rules.UNDECODABLE, f"The decoder of PNG fails with {type(error).__name__}.")
        return _with_pixels(summary, geometry, None)
    return _with_pixels(summary, geometry, check_stored(stored, geometry, report, tag=None))


def _with_pixels(summary: Summary, geometry: "Geometry", reduced: Reduced | None) -> Summary:
    return replace(
        summary,
        rows=geometry.rows,
        columns=geometry.columns,
        bits=geometry.bits_stored,
        photometric=geometry.photometric,
        pixels=reduced or Reduced(),
    )
