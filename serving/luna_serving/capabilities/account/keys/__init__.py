"""The API keys of an account, which its admins issue and end over HTTP. Tokens do not belong here."""
