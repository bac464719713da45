"""Who calls, and how much they may: credentials, tokens, authorization, admission. Knows nothing of batches."""
