"""The rows of data sets: sets, their files, the objects that hold bytes, and reports.

The bytes that count against an account are those of its objects, and those that its unfinished sets have reserved.
Every object in the store has a row, which is written before the object and deleted before it, so one without a row is
garbage and may be deleted at any time.

Locks are taken in this order: the advisory lock of an account's data sets, then rows. Who creates or deletes sets or
objects holds the advisory lock.
"""
