"""Imports what the validation of images needs: a sandbox's server imports it once, its children inherit it."""

import gdcm  # noqa: F401  pydicom imports it on the first JPEG
import jpeg_ls  # noqa: F401
import openjpeg  # noqa: F401
import PIL.PngImagePlugin
import pydicom.datadict
import pydicom.pixels.decoders
import rle  # noqa: F401

from luna_serving.capabilities.datasets.validation.xray import (  # noqa: F401
    codestreams,
    deidentification,
    files,
    head,
    pixels,
    png,
)
