"""Sign-in through OpenID providers: OpenID Connect Core 1.0, authorization code flow with PKCE (RFC 7636).

Documents and tokens of a provider are checked by pure functions (`metadata`, `id_token`, `claims`); `provider` asks it,
`pending` keeps sign-ins that have begun, and `flow` puts them together.
"""
