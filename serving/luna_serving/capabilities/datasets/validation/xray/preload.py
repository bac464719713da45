"""Imports what the validation of images needs: a sandbox's server imports it once, its children inherit it."""

import contextlib

from luna_serving.capabilities.datasets.validation.xray import (  # noqa: F401
    codestreams,
    deidentification,
    files,
    head,
    labels,
    pixels,
    png,
)

# Without the extra `imaging` a child says what is missing.
with contextlib.suppress(ImportError):
    import gdcm  # type: ignore[import-untyped]  # noqa: F401
    import jpeg_ls  # type: ignore[import-untyped]  # noqa: F401
    import openjpeg  # noqa: F401
    import PIL.PngImagePlugin  # noqa: F401
    import pydicom.datadict
    import pydicom.pixels.decoders  # noqa: F401
    import rle  # noqa: F401
