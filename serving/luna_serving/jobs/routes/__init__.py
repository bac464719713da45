"""The HTTP routes of jobs: creating, reading, watching, cancelling. What a job computes is its kind's.

`wire` renders jobs, `watching` notices their changes, the others each build a few routes.
"""
