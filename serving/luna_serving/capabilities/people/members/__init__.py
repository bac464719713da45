"""The members of an account, which its admins keep over HTTP. How members sign in does not belong here."""
