"""Online filtering over a WebSocket: what a message means, what a point's answer is, and who holds a stream.

Stored in Postgres by `luna_serving.capabilities.kalman.store.streams`; computed by the replica as jobs like others.
"""
