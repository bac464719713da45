"""Imports: from files of bars to a new version of the server's market, with bounded memory.

`reading` gives blocks of rows, `checking` refuses wrong ones with their file and row, `spooling` sorts them by series
on disk, `merging` adds them to the bars that the market has, `publishing` stores the version; `stores` opens what it
writes to. `listing` reads the files of symbols and of corporate actions.
"""
