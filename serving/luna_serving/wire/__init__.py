"""Reading requests and writing answers, for every capability.

Holds: JSON and where it is wrong, strict schemas and forms, series of numbers, pointers, problems.
Does not hold: what any one capability's requests mean.
"""
