"""The object store: one S3 client per process, presigned URLs, the sweep.

What an object means, and which one may be removed, belongs to the capability that stores it. The capability keeps the
keys in its own tables; names that callers choose never become keys.
"""
