"""The canonical copy of a valid set of tables: one Parquet file, sorted by series and time, with an index of series.

`building` writes it in a child of the sandbox, with bounded memory; `reading` fetches series from it. Nothing here
knows where copies are kept.
"""
