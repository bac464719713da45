"""What a file is, by its first bytes and its name. Formats that run code or hide many files are refused by name."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

HEAD_BYTES: Final = 4096


class Format(StrEnum):
    """How a table is read."""

    CSV = "csv"
    PARQUET = "parquet"
    ARROW_FILE = "arrow-file"
    ARROW_STREAM = "arrow-stream"


class Compression(StrEnum):
    """Of a whole file."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


@dataclass(frozen=True, slots=True)
class Refused:
    """A format that is not read."""

    name: str
    why: str


_COMPRESSIONS: Final = ((b"\x1f\x8b", Compression.GZIP), (b"\x28\xb5\x2f\xfd", Compression.ZSTD))
_ARCHIVE: Final = "An archive may hide any number of files."
_OFFICE: Final = "Workbooks hold formulas and formats; what is a number in them is a guess."
_REFUSED: Final = (
    (b"\x93NUMPY", "NumPy .npy", "It may hold pickled objects, which run code when they are read."),
    (b"\x89HDF\r\n\x1a\n", "HDF5", "Its libraries load plug-ins and follow links to other files."),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Excel .xls", _OFFICE),
    (b"PK\x03\x04", "ZIP, or Excel .xlsx, or .npz", _ARCHIVE),
    (b"PK\x05\x06", "ZIP", _ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip", _ARCHIVE),
    (b"Rar!", "RAR", _ARCHIVE),
    (b"BZh", "bzip2", "Only gzip and Zstandard are read."),
    (b"\xfd7zXZ\x00", "xz", "Only gzip and Zstandard are read."),
    (b"SQLite format 3\x00", "SQLite", "It is a database, not a table."),
    (b"ORC", "ORC", "Its reader is not among those that run here."),
    (b"Obj\x01", "Avro", "Its reader is not among those that run here."),
    (b"FEA1", "Feather version 1", "It was replaced; write Arrow IPC (Feather version 2)."),
    (b"%PDF", "PDF", "It is a document."),
    (b"\x89PNG", "PNG", "It is an image."),
    (b"\xff\xd8\xff", "JPEG", "It is an image."),
    (b"\x7fELF", "program", "It is a program."),
    (b"MZ", "program", "It is a program."),
)
# Protocols 2 to 5 begin with PROTO, and 4 and 5 then with FRAME; protocols 0 and 1 end with STOP, "." at the end.
_PICKLE: Final = (b"\x80\x02", b"\x80\x03", b"\x80\x04\x95", b"\x80\x05\x95", b"\x80\x04", b"\x80\x05")
_PICKLE_WHY: Final = "Reading a pickle runs the code in it."
_NAMES: Final = {
    (".pkl", ".pickle", ".joblib", ".pt", ".pth"): Refused("pickle", _PICKLE_WHY),
    (".npy", ".npz"): Refused("NumPy .npy", "It may hold pickled objects, which run code when they are read."),
    (".h5", ".hdf5", ".hdf"): Refused("HDF5", "Its libraries load plug-ins and follow links to other files."),
    (".xls", ".xlsx", ".xlsm", ".xlsb", ".ods"): Refused("Excel", _OFFICE),
    (".zip", ".tar", ".tgz", ".tar.gz", ".tar.zst", ".7z", ".rar"): Refused("archive", _ARCHIVE),
}
_EXTENSIONS: Final = {
    ".csv": (Format.CSV,),
    ".tsv": (Format.CSV,),
    ".txt": (Format.CSV,),
    ".parquet": (Format.PARQUET,),
    ".pq": (Format.PARQUET,),
    ".arrow": (Format.ARROW_FILE, Format.ARROW_STREAM),
    ".arrows": (Format.ARROW_FILE, Format.ARROW_STREAM),
    ".feather": (Format.ARROW_FILE, Format.ARROW_STREAM),
    ".ipc": (Format.ARROW_FILE, Format.ARROW_STREAM),
}


def compression_of(head: bytes) -> Compression:
    """How the whole file is compressed, by its first bytes."""
    return next((each for mark, each in _COMPRESSIONS if head.startswith(mark)), Compression.NONE)


def refused(head: bytes, name: str) -> Refused | None:
    """The refused format that the content or else the name is of.

    Args:
        head: the first bytes, decompressed.
        name: of the file.
    """
    for mark, what, why in _REFUSED:
        if head.startswith(mark):
            return Refused(what, why)
    if head.startswith(_PICKLE):
        return Refused("pickle", _PICKLE_WHY)
    if head[257:262] == b"ustar":
        return Refused("tar", _ARCHIVE)
    lowered = name.lower()
    return next((each for ends, each in _NAMES.items() if lowered.endswith(ends)), None)


def format_of(head: bytes) -> Format | None:
    """The format by content: None for a binary file of another kind."""
    if head.startswith((b"PAR1", b"PARE")):
        return Format.PARQUET
    if head.startswith(b"ARROW1"):
        return Format.ARROW_FILE
    if head.startswith(b"\xff\xff\xff\xff") and len(head) >= 8:
        return Format.ARROW_STREAM
    return Format.CSV if text_like(head) else None


def text_like(head: bytes) -> bool:
    """Whether bytes could be text of any encoding: UTF-16 has NUL bytes, binary files have other control bytes."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    return not any(byte < 9 or 13 < byte < 27 or 27 < byte < 32 for byte in head)


def named(name: str) -> tuple[Format, ...]:
    """The formats that a name promises; empty if its extension is none of a table."""
    lowered = name.lower().removesuffix(".gz").removesuffix(".zst")
    return next((formats for end, formats in _EXTENSIONS.items() if lowered.endswith(end)), ())
