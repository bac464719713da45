"""The routes of samples: from a request to a charge, a question to the shard, and the bytes of the answer.

Belongs here: charges, parameters, status codes. Not here: protocols of ingest (`ingest`), formats of answers
(`rendering`).
"""
