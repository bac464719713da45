"""`/indicators/custom`: the account's own indicators, kept as expressions."""
