"""What is kept of a file for the checks of the set: numbers and hashes, no text of the file."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

THUMBNAIL: Final = 32
"""Pixels per side."""
_THUMBNAIL: Final = re.compile(f"[0-9a-f]{{{2 * THUMBNAIL**2}}}")


@dataclass(frozen=True, slots=True)
class Reduced:
    """What is kept of an image's pixels."""

    pixel_hash: str | None = None
    """Equal for images whose canonical pixels are equal; None if they were not decoded."""
    gradient_hash: int | None = None
    """dHash, 64 bits; None also for a constant image."""
    thumbnail: str | None = None
    """32 x 32 area means as bytes from the darkest to the brightest, in hexadecimal."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One image. Hashes of texts are salted with the set's salt."""

    name: str
    format: str
    """`dicom` or `png`."""
    digest: str = ""
    """SHA-256 of the file."""
    rows: int = 0
    """0, as `columns` and `bits`, if the head forbids to decode."""
    columns: int = 0
    bits: int = 0
    photometric: str = ""
    pixels: Reduced = Reduced()
    instance: str | None = None
    """Hash of the SOP Instance UID."""
    patient: str | None = None
    """Hash of the Patient ID."""
    acquisition: Mapping[str, str] = field(default_factory=dict)
    """Hashes of what may tell a class apart: manufacturer, model, kVp and others."""

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; `of_json` reads it back."""
        return asdict(self)

    @classmethod
    def of_json(cls, given: Mapping[str, Any]) -> "Summary":
        """From a JSON object; raises TypeError or ValueError for one that is no summary."""
        pixels = Reduced(**given["pixels"])
        summary = cls(**{**given, "pixels": pixels})
        texts = (summary.name, summary.format, summary.digest, summary.photometric, *summary.acquisition.values())
        hashes = (summary.instance, summary.patient, pixels.pixel_hash)
        numbers = (summary.rows, summary.columns, summary.bits, pixels.gradient_hash or 0)
        sound = (
            all(isinstance(text, str) for text in texts)
            and all(text is None or isinstance(text, str) for text in hashes)
            and all(type(number) is int and 0 <= number < 1 << 64 for number in numbers)
            and (pixels.thumbnail is None or _THUMBNAIL.fullmatch(pixels.thumbnail) is not None)
            and (pixels.thumbnail is None) == (pixels.gradient_hash is None)
        )
        if not sound:
            raise ValueError("no summary")
        return summary
