"""The rules of tables. Ids are public: none is ever given to another rule."""

from typing import Final

from luna_serving.capabilities.datasets.validation.findings import Rule, Severity

_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO

UNKNOWN_FORMAT: Final = Rule(
    "TBL001",
    _E,
    "Unknown file format",
    "Save the table as .csv, .csv.gz, .csv.zst, .parquet or .arrow.",
)
REFUSED_FORMAT: Final = Rule(
    "TBL002", _E, "Refused file format", "Export the data as CSV or Parquet, and remove this file from the set."
)
UNREADABLE: Final = Rule("TBL003", _E, "Damaged file", "Write the file again and compare its size and digest.")
BAD_HEADER: Final = Rule("TBL004", _E, "Unusable header", "Give each column a name of its own in the first line.")
MISSING_COLUMN: Final = Rule(
    "TBL005", _E, "Missing column", "Add the column, or name the right one in the contract; letter case counts."
)
WRONG_TYPE: Final = Rule(
    "TBL006", _E, "Wrong type", "Write plain numbers such as -1234.5, without units, thousands separators or quotes."
)
BAD_ENCODING: Final = Rule("TBL007", _E, "Text that is not UTF-8", "Save the file in UTF-8.")
RAGGED_ROW: Final = Rule(
    "TBL008", _E, "Wrong number of fields", "Give each row as many fields as the header; quote fields with separators."
)
EMPTY: Final = Rule("TBL009", _E, "Empty table", "Add at least one row, or remove the file from the set.")
RESOURCES: Final = Rule(
    "TBL010", _E, "Resource limit exceeded", "Split the file into smaller ones, and write it with default settings."
)
BOMB: Final = Rule("TBL011", _E, "Decompression bomb", "Split the data into several files, or upload it uncompressed.")
TOO_LARGE: Final = Rule("TBL012", _E, "Table too large", "Split the table into several files, by series or by time.")
CRASHED: Final = Rule("TBL013", _E, "File that stops the reader", "Write the file again with a current library.")
QUOTES: Final = Rule(
    "TBL014", _E, "Unclosed quotation mark or overlong row", 'Close each quotation mark; write one inside text as "".'
)
OTHER_CONTENT: Final = Rule(
    "TBL015", _W, "Content of another format than the name says", "Give the file the extension of its content."
)

UNREADABLE_TIME: Final = Rule(
    "TS001", _E, "Unreadable time", "Write times as ISO 8601, such as 2024-01-31 or 2024-01-31T14:00:00+01:00."
)
DISORDER: Final = Rule("TS002", _E, "Times out of order", "Sort the rows of each series by time.")
DUPLICATE_TIME: Final = Rule(
    "TS003", _E, "Duplicate time", "Keep one row per series and time, or name the series column in the contract."
)
GAP: Final = Rule("TS004", _W, "Gap", "Add the missing rows, or leave them out: models treat them as missing.")
OFF_FREQUENCY: Final = Rule(
    "TS005", _E, "Times off the contract's frequency", "Correct the times, or the frequency in the contract."
)
MIXED_ZONES: Final = Rule(
    "TS006", _E, "Times with and without an offset", "Write all times with an offset, such as Z, or all without."
)
NO_SUCH_TIME: Final = Rule(
    "TS007", _E, "Time that the zone skips", "Write times in UTC, or correct the contract's timezone."
)
AMBIGUOUS_TIME: Final = Rule("TS008", _W, "Time that the zone has twice", "Write times in UTC or with an offset.")
EPOCH: Final = Rule("TS009", _I, "Times as numbers", "Check the unit that was taken, or write times as ISO 8601.")
MIXED_EPOCHS: Final = Rule("TS010", _E, "Times as numbers of different units", "Use one unit in the whole column.")
IMPLAUSIBLE_TIME: Final = Rule(
    "TS011", _W, "Implausible time", "Check the unit of the times, and values that stand for no time."
)
SHORT: Final = Rule("TS012", _W, "Series shorter than two seasons", "Add history, or use a model without a season.")
IRREGULAR: Final = Rule(
    "TS013", _W, "No regular frequency", "Resample the series, or use a model with steps of different length."
)
NO_TIME: Final = Rule("TS014", _E, "Row without a time", "Add the time, or remove the row.")
SINGLE: Final = Rule(
    "TS015", _W, "Series with fewer than three observations", "Add observations, or remove the series."
)

MISSING: Final = Rule("VAL001", _W, "Missing value", "Fill it, or allow it in the contract's nullable.")
NAN: Final = Rule("VAL002", _W, "NaN", "Write missing values as empty fields or null.")
INFINITE: Final = Rule("VAL003", _E, "Infinite value", "Replace infinity with a number, or leave the value out.")
CONSTANT: Final = Rule("VAL004", _W, "Constant stretch", "Check whether the source stopped, and leave such values out.")
RANGE: Final = Rule("VAL005", _E, "Value out of range", "Correct the value, or the range in the contract.")
ENUM: Final = Rule("VAL006", _E, "Value that is not in the list", "Correct the value, or the enum in the contract.")
BAR: Final = Rule(
    "VAL007",
    _E,
    "Contradictory bar",
    "Correct the bar, or the columns in the contract: low <= open, close <= high.",
)
VOLUME: Final = Rule("VAL008", _E, "Negative volume", "Correct the volume, or leave it out.")
PRICE: Final = Rule("VAL009", _W, "Price that is not positive", "Check the price.")
NO_SERIES: Final = Rule("VAL010", _E, "Row without a series", "Add the name of the series, or remove the row.")
FORBIDDEN_MISSING: Final = Rule(
    "VAL011", _E, "Missing value where the contract allows none", "Fill it, or allow it in the contract's nullable."
)
DIGITS: Final = Rule(
    "VAL012", _W, "Whole number beyond 2^53", "Models compute with 53 bits: subtract an offset, or scale the values."
)
LONG_NAME: Final = Rule("VAL013", _E, "Name of a series that is too long", "Name series with at most 255 characters.")

RULES: Final = (
    UNKNOWN_FORMAT, REFUSED_FORMAT, UNREADABLE, BAD_HEADER, MISSING_COLUMN, WRONG_TYPE, BAD_ENCODING, RAGGED_ROW, EMPTY,
    RESOURCES, BOMB, TOO_LARGE, CRASHED, QUOTES, OTHER_CONTENT,
    UNREADABLE_TIME, DISORDER, DUPLICATE_TIME, GAP, OFF_FREQUENCY, MIXED_ZONES, NO_SUCH_TIME, AMBIGUOUS_TIME, EPOCH,
    MIXED_EPOCHS, IMPLAUSIBLE_TIME, SHORT, IRREGULAR, NO_TIME, SINGLE,
    MISSING, NAN, INFINITE, CONSTANT, RANGE, ENUM, BAR, VOLUME, PRICE, NO_SERIES, FORBIDDEN_MISSING, DIGITS, LONG_NAME,
)  # fmt: skip
