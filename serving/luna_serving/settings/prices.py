"""Settings of the processes that read prices."""

import os
import tempfile
from pathlib import Path

from pydantic import Field

from luna_serving.settings.group import Group


class PricesSettings(Group):
    """Bars on the disk of the machines that compute with them ([market](market.md))."""

    folder: str = Field(
        "",
        description="A folder for the files of markets, which all processes of a machine share; by default `prices` in "
        "the data folder, or without one a folder of this user among the temporary files.",
    )
    folder_bytes: int = Field(
        10 * 1024**3,
        gt=0,
        description="Bytes of this folder at most; files that were not used for the longest time are removed.",
    )
    follow_s: float = Field(
        1.0, gt=0, description="Seconds between two looks for a new version of the server's market."
    )
    mapped_files: int = Field(
        64, gt=0, description="Files that a process maps at once: one per version and data set that is in use."
    )

    def place(self, data_dir: str) -> Path:
        """The folder, in an application with this data folder."""
        if self.folder:
            return Path(self.folder)
        return Path(data_dir) / "prices" if data_dir else Path(tempfile.gettempdir()) / f"luna-prices-{os.geteuid()}"
