"""Validation as a job: seals what was uploaded, has each file checked in the sandbox, and commits one verdict.

An attempt that is repeated writes the same keys, and every write of rows is conditional on its job. So it may be killed
at any point, and a second attempt ends what the first began.
"""
