"""Data sets: uploads straight to the object store, validation as jobs, and the library of named, immutable sets."""
