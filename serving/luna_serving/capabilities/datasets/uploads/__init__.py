"""Uploads: what has arrived in the object store, and the requests that send the rest. Nothing here reads a file."""
