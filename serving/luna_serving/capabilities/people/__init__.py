"""The people capability: sign-in, sessions and passwords; members of an account. Machines use keys: see `account`."""
