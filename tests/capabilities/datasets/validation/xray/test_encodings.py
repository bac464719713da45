"""Claims about pixels: however an image is encoded, equal pixels have equal hashes."""

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import UID
from tests.capabilities.datasets.validation.xray import making
from tests.capabilities.datasets.validation.xray.checking import checked, ids
from tests.capabilities.datasets.validation.xray.making import changed, dicom, png, text, us

TOP = (1 << 12) - 1


def hash_of(tmp_path, data: bytes, name: str = "a.dcm") -> str:
    found, summary = checked(tmp_path, data, name)
    assert not {i for i in ids(found) if i.startswith("PIX") and i != "PIX010"}, found
    assert summary is not None
    assert summary.pixels.pixel_hash is not None, found
    return summary.pixels.pixel_hash


def recompressed(data: bytes, syntax: str) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(data))
    dataset.compress(UID(syntax), generate_instance_uid=False)
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


def jpeg_lossless(folder: Path, data: bytes) -> bytes:
    """JPEG Lossless, selection value 1, by GDCM."""
    import gdcm

    source, target = folder / "plain.dcm", folder / "lossless.dcm"
    source.write_bytes(data)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(source))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return target.read_bytes()


@pytest.mark.parametrize("syntax", [making.RLE, making.JPEG_2000, making.JPEG_LS])
def test_lossless_compression_keeps_the_hash(tmp_path, syntax):
    data = dicom(making.clean())
    assert hash_of(tmp_path, recompressed(data, syntax)) == hash_of(tmp_path, data)


def test_jpeg_lossless_keeps_the_hash(tmp_path):
    data = dicom(making.clean())
    lossless = jpeg_lossless(tmp_path, data)
    assert making.JPEG_LOSSLESS.encode() in lossless[:400]
    assert hash_of(tmp_path, lossless) == hash_of(tmp_path, data)


def test_fragments_may_be_cut_anywhere(tmp_path):
    data = dicom(making.clean())
    dataset = pydicom.dcmread(io.BytesIO(recompressed(data, making.JPEG_2000)))
    stream = next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
    assert encapsulate([stream])
    cut = [stream[:100], stream[100:1000], stream[1000:] + b"\0" * (len(stream) % 2)]
    assert hash_of(tmp_path, making.encapsulated(making.clean(), making.JPEG_2000, *cut)) == hash_of(tmp_path, data)


def test_the_form_of_the_elements_does_not_matter(tmp_path):
    data = dicom(changed(0x00120064))
    assert hash_of(tmp_path, dicom(changed(0x00120064), making.IMPLICIT)) == hash_of(tmp_path, data)
    dataset = pydicom.dcmread(io.BytesIO(data))
    dataset.file_meta.TransferSyntaxUID = UID(making.BIG_ENDIAN)
    pixels = np.frombuffer(dataset.PixelData, "<u2")
    dataset.PixelData = pixels.astype(">u2").tobytes()
    assert len(list(dataset)) > 10  # Values are decoded, or their bytes would be written as they are.
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, implicit_vr=False, little_endian=False)
    assert hash_of(tmp_path, stream.getvalue()) == hash_of(tmp_path, data)


def test_an_inverted_image_that_says_so_has_the_hash_of_the_original(tmp_path):
    pixels = making.image(1)
    inverted = making.clean(TOP - pixels) | {0x00280004: text("CS", "MONOCHROME1")}
    found, _ = checked(tmp_path, dicom(inverted))
    assert ids(found) == {"DCM025"}
    assert "Invert" in found[0].remedy
    assert hash_of(tmp_path, dicom(inverted)) == hash_of(tmp_path, dicom(making.clean(pixels)))


def test_a_whole_rescale_is_part_of_the_pixels(tmp_path):
    pixels = making.image(1, bits=11)
    shifted = making.clean(pixels) | {0x00281052: text("DS", "3"), 0x00281053: text("DS", "2")}
    plain = making.clean((pixels * 2 + 3).astype(np.uint16), bits=13)
    assert hash_of(tmp_path, dicom(shifted)) == hash_of(tmp_path, dicom(plain))
    odd = making.clean(pixels) | {0x00281053: text("DS", "1.5")}
    assert hash_of(tmp_path, dicom(odd)) != hash_of(tmp_path, dicom(making.clean(pixels)))


def test_signed_pixels_are_read_as_signed(tmp_path):
    pixels = making.image(1).astype(np.int16)
    signed = making.clean(pixels - 2048) | {0x00280103: us(1), 0x00281052: text("DS", "2048")}
    assert hash_of(tmp_path, dicom(signed)) == hash_of(tmp_path, dicom(making.clean(pixels.astype(np.uint16))))


def test_a_png_has_the_hash_of_a_dicom_image_of_the_same_values(tmp_path):
    pixels = making.image(1)
    assert hash_of(tmp_path, png(pixels), "a.png") == hash_of(tmp_path, dicom(making.clean(pixels)))
    small = making.image(1, bits=8).astype(np.uint8)
    elements = making.clean(small, bits=8) | {making.PIXELS: ("OB", small.tobytes())}
    assert hash_of(tmp_path, png(small), "a.png") == hash_of(tmp_path, dicom(elements))


def test_padding_pixels_do_not_count_as_clipped(tmp_path):
    pixels = making.image(1)
    pixels[:30, :60] = 0
    assert "PIX006" in ids(checked(tmp_path, dicom(making.clean(pixels)))[0])
    padded = making.clean(pixels) | {0x00280120: us(0)}
    assert "PIX006" not in ids(checked(tmp_path, dicom(padded))[0])


def test_wide_borders_few_levels_and_loss_are_warnings(tmp_path):
    framed = np.zeros((64, 64), np.uint16)
    framed[16:48, 16:48] = making.image(1, side=32)
    assert ids(checked(tmp_path, dicom(making.clean(framed)))[0]) == {"PIX009"}
    coarse = making.clean((making.image(1) // 1024 * 1024).astype(np.uint16))
    assert "PIX008" in ids(checked(tmp_path, dicom(coarse))[0])
    assert ids(checked(tmp_path, dicom(changed(x00282110=text("CS", "01"))))[0]) == {"PIX010"}
