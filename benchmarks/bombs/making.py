"""Bombs: small files that unpack to hundreds of megabytes, and the rule that each must break."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.capabilities.datasets.validation.broken import gzip_bomb, lying_footer, page_bomb, zstd_bomb
from tests.capabilities.datasets.validation.xray.broken import deflated

CSV, PARQUET, DICOM = "text/csv", "application/vnd.apache.parquet", "application/dicom"
CONTRACT = {"time_column": "ts", "value_columns": ["y"]}


@dataclass(frozen=True)
class Bomb:
    """A set of one file."""

    path: str
    media_type: str
    make: Callable[[], bytes]
    rule: str
    """Of the finding that must name it."""

    @property
    def declaration(self) -> Mapping[str, object]:
        """Type and contract of its set."""
        images = self.media_type == DICOM
        return {"type": "xray" if images else "series", "contract": {} if images else CONTRACT}


BOMBS = (
    Bomb("footer.parquet", PARQUET, lying_footer, "TBL011"),
    Bomb("rows.csv.gz", CSV, gzip_bomb, "TBL011"),
    Bomb("row.csv.zst", CSV, zstd_bomb, "TBL014"),
    Bomb("page.parquet", PARQUET, page_bomb, "TBL010"),
    Bomb("deflated.dcm", DICOM, deflated, "DCM008"),
)
