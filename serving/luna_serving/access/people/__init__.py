"""Signs people in: passwords, sessions and their tokens. Who they are stands in `luna_store.people`."""
