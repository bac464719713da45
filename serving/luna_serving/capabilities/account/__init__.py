"""The account capability: an account's limits and usage for its owner, and tokens for its keys."""
