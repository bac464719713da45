"""Measures the validation of X-ray images beside their decoding alone: CPU per image, and the ratio.

    python -m benchmarks.imaging [--rounds 5] [--markdown]

The images are pydicom-data's CR images, and the lossless ones again in the other compressions. The peer reads and
decodes with pydicom, by the same decoder. The validation checks head, identity and pixels, and hashes file and pixels:
once in this process, once in a child of the sandbox.
"""

import argparse
import asyncio
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pydicom
from benchmarks.machine import facts
from pydicom.data import get_testdata_file
from pydicom.uid import UID
from rich.console import Console
from rich.table import Table

from luna_serving.capabilities.datasets.validation.findings import Findings
from luna_serving.capabilities.datasets.validation.sandbox.running import Sandbox
from luna_serving.capabilities.datasets.validation.xray import in_child
from luna_serving.capabilities.datasets.validation.xray.dictionary import TRANSFER_SYNTAXES
from luna_serving.capabilities.datasets.validation.xray.files import check_file

IMAGES: Final = ("RG1_UNCR.dcm", "RG1_J2KR.dcm", "RG1_J2KI.dcm", "RG3_UNCR.dcm", "RG3_J2KR.dcm", "RG3_J2KI.dcm")
AGAIN: Final = {"RLE": "1.2.840.10008.1.2.5", "JPEG-LS": "1.2.840.10008.1.2.4.80"}
PACKAGES: Final = ("pydicom", "pylibjpeg-openjpeg", "pylibjpeg-rle", "pyjpegls", "numpy")


def images(folder: Path) -> list[Path]:
    """The images, those in other compressions written into a folder."""
    found = []
    for name in IMAGES:
        place = get_testdata_file(name, download=False)
        if place is None:
            raise SystemExit("pydicom-data is not installed: make install")
        found.append(Path(str(place)))
    for plain in (found[0], found[3]):
        for name, syntax in AGAIN.items():
            dataset = pydicom.dcmread(plain)
            dataset.compress(UID(syntax), generate_instance_uid=False)
            stream = io.BytesIO()
            dataset.save_as(stream)
            target = folder / f"{plain.stem.removesuffix('_UNCR')}_{name}.dcm"
            target.write_bytes(stream.getvalue())
            found.append(target)
    return sorted(found, key=lambda path: path.name)


def decode(path: Path) -> None:
    """The peer."""
    dataset = pydicom.dcmread(path)
    dataset.pixel_array_options(
        raw=True, decoding_plugin=TRANSFER_SYNTAXES[dataset.file_meta.TransferSyntaxUID].plugin or ""
    )
    _ = dataset.pixel_array


def validate(path: Path) -> None:
    """The validation in this process."""
    check_file(path, path.name, Findings(), salt=b"benchmark")


def cpu_of(run: Callable[[Path], None], path: Path) -> float:
    """Milliseconds of CPU."""
    began = time.process_time()
    run(path)
    return (time.process_time() - began) * 1e3


async def in_sandbox(sandbox: Sandbox, path: Path) -> tuple[float, float]:
    """Milliseconds of CPU and peak megabytes of a child."""
    arguments = {"file": str(path), "path": path.name, "sha256": None, "salt": "00"}
    outcome = await sandbox.run(in_child.IMAGE, arguments, limits=in_child.LIMITS)
    if not outcome.finished:
        raise SystemExit(f"{path.name}: {outcome.ending}: {outcome.detail}")
    return outcome.cpu_s * 1e3, outcome.peak_bytes / 2**20


async def measure(rounds: int) -> list[tuple[str, ...]]:
    """A row for each image: median CPU, in turns, so that what else runs hits all alike."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        async with Sandbox(preload=in_child.PRELOAD, limits=in_child.LIMITS) as sandbox:
            for path in images(Path(folder)):
                decode(path)
                validate(path)
                decodes, checks, children, peaks = [], [], [], []
                for _ in range(rounds):
                    decodes.append(cpu_of(decode, path))
                    checks.append(cpu_of(validate, path))
                    cpu, peak = await in_sandbox(sandbox, path)
                    children.append(cpu)
                    peaks.append(peak)
                alone, whole, child = (statistics.median(each) for each in (decodes, checks, children))
                numbers = (
                    f"{alone:.1f}",
                    f"{whole:.1f}",
                    f"{whole / alone:.2f}",
                    f"{child:.1f}",
                    f"{child / alone:.2f}",
                )
                rows.append((path.stem, *numbers, f"{max(peaks):.0f}"))
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imaging", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()
    known = facts(PACKAGES)
    rows = asyncio.run(measure(options.rounds))
    header = ("image", "decode ms", "validate ms", "÷ decode", "in a child ms", "÷ decode", "peak MB")
    if options.markdown:
        print("\n".join(f"- {name}: {fact}" for name, fact in known.items()), end="\n\n")
        for row in (header, ("---", *["--:"] * (len(header) - 1)), *rows):
            print(f"| {' | '.join(row)} |")
        return
    console = Console()
    for name, fact in known.items():
        console.print(f"{name}: {fact}", highlight=False)
    table = Table(*header)
    for row in rows:
        table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    main()
