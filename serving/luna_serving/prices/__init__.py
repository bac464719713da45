"""Prices, as capabilities share them: which version has an instrument's bars, and how a process reads them.

`located` has the values, `sources` the port by which a capability that stores prices offers them to others, `mapped`
what a process reads bars with, `adjusting` the effect of splits and dividends, `files` the files of a version. Imports,
tables and routes belong to the capability that stores prices.
"""
