"""What is kept of a file for the checks of the set: numbers and hashes, no text of the file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


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
    digest: str
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
        """From a JSON object."""
        return cls(**{**given, "pixels": Reduced(**given["pixels"])})
