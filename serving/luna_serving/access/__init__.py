"""Credentials, tokens, authorization, admission, charges and holds. Batches do not belong here."""
