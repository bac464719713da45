"""The routes of sign-in through OpenID providers."""
