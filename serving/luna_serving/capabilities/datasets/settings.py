"""The settings of data sets: LUNA_DATASETS_<FIELD>."""

from pydantic import Field

from luna_serving.objects.values import MOST_COPIED
from luna_serving.settings import CapabilitySettings


class DatasetsSettings(CapabilitySettings):
    """Uploads, validation, and the library of sets ([datasets](datasets.md))."""

    max_files: int = Field(10_000, gt=0, le=100_000, description="Files of one set; more are answered 422.")
    max_file_bytes: int = Field(
        MOST_COPIED,
        gt=0,
        le=MOST_COPIED,
        description="Bytes of one file; a larger one is answered 422. S3 copies at most 5 GiB at once.",
    )
    max_sets: int = Field(
        10_000,
        gt=0,
        description="Sets of one account in any state; another is answered 409.",
    )
    part_bytes: int = Field(
        64 * 1024**2,
        ge=5 * 1024**2,
        le=5 * 1024**3,
        description="Bytes of a part: a larger file is sent in parts. S3 takes parts of 5 MiB at least.",
    )
    unfinished_hours: float = Field(
        24.0, gt=0, le=24 * 365, description="Hours after the last activity at which an unfinished set expires."
    )
    invalid_hours: float = Field(
        24.0,
        gt=0,
        le=24 * 365,
        description="Hours that the files of an invalid set are kept: a corrected set sends only what has changed.",
    )
    sweep_s: float = Field(
        300.0, gt=0, description="Seconds between two comparisons of the object store with the tables."
    )
    sweep_grace_s: float = Field(
        3600.0,
        ge=0,
        description="Seconds that an object which belongs to nobody is left alone: longer than a worker may be "
        "stopped amid a copy.",
    )
    files_at_once: int = Field(
        4, gt=0, le=64, description="Files of one set that are copied and read at once; each takes its size on disk."
    )
    validators: int = Field(
        2, gt=0, le=64, description="Files that a worker validates at once, each in a process of its own."
    )
    series_cache_bytes: int = Field(
        1024**3,
        gt=0,
        description="Bytes on disk of canonical copies that an ingress replica keeps, for requests that name series.",
    )
