"""Named models of an account: their routes, and their lookup for calls."""
