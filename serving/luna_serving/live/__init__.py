"""Live updates: who subscribed to what in this process, and the bus that carries changes to it.

Belongs here: the hub of subscribers, their bounded state, the bus in Valkey, the messages. Not here: the routes, and
where present values and missed alerts come from; capabilities provide those through `ports`.

Rooms, each importing only those before it: `positions`, `ports`, `metrics`; `encoding`, `publishing`, `bus`; `series`,
`selectors`, `wheel`, `subscribers`; `accounts`, `hub`; `protocol`, `admission`, `session`, `events`.
"""
