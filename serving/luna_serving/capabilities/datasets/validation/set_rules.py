"""Rules about the files of a set together. `SET001` to `SET099`; those of X-ray sets follow from `SET101`."""

from typing import Final

from luna_serving.capabilities.datasets.validation.findings import Rule, Severity

_E, _W = Severity.ERROR, Severity.WARNING

BAD_NAME: Final = Rule("SET001", _E, "File name that cannot be kept", "Rename the file.")
CLASH: Final = Rule(
    "SET002",
    _E,
    "Names that differ in letter case only",
    "Rename one of the files: many systems hold one of them only.",
)
NO_FILES: Final = Rule("SET003", _E, "Set without files", "Add at least one file.")
COLUMNS_DIFFER: Final = Rule(
    "SET004", _E, "Columns that differ between files", "Write all files with the same columns and types."
)
OVERLAP: Final = Rule(
    "SET005", _E, "Series that overlaps between files", "Keep each time of a series in one file, or name series apart."
)
SAME_CONTENT: Final = Rule("SET006", _E, "The same content in several files", "Keep one of them.")
UNBALANCED: Final = Rule(
    "SET007", _W, "Unbalanced panel", "Check that series which begin late or end early do so in the source, too."
)
OTHER_DIGEST: Final = Rule("SET008", _E, "Content that is not the one announced", "Upload the file again.")
FREQUENCIES_DIFFER: Final = Rule(
    "SET009", _W, "Frequencies that differ between files", "Keep one frequency per set, or resample."
)

RULES: Final = (
    BAD_NAME, CLASH, NO_FILES, COLUMNS_DIFFER, OVERLAP, SAME_CONTENT, UNBALANCED, OTHER_DIGEST, FREQUENCIES_DIFFER,
)  # fmt: skip
