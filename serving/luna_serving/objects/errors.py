"""Errors of the object store, named after what the caller can do."""


class ObjectMissing(Exception):
    """The object, or the multipart upload, is not in the store: it was never written, or is deleted."""


class ObjectExists(Exception):
    """The key is taken, and the call must not overwrite it."""


class StoreGone(ConnectionError):
    """The store is out of reach, too slow or overloaded: answer 503 and let the caller try again."""


class StoreRefused(Exception):
    """The store refuses the call, and will again: its credentials, bucket or settings are wrong."""
