"""Online filtering over a WebSocket: messages, answers, and the sessions that hold streams.

`luna_serving.capabilities.kalman.store.streams` stores streams in Postgres; replicas compute points as jobs.
"""
