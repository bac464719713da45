"""People: users, their memberships in accounts with roles, their sessions. Passwords are hashed in `luna_serving`.

The account's row is locked before the rows of this room, as for keys; a change that ends or begins access marks the
account stale, and `AccountCache.rebuild` makes it take effect.
"""
