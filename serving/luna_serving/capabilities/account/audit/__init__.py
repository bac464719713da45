"""The audit log of an account over HTTP, and its retention. Triggers of the store write it (`luna_store.audit`)."""
