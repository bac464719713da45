"""Routes of live updates: the WebSocket `/ws/metrics` and the event stream `GET /metrics/live`.

The room `luna_serving.live` has the hub, the bus and the protocol. Here: present values from the shards, the account's
limit on connections, and the routes. `live_parts` is what the capability calls.
"""
