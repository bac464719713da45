"""The API server, and what Luna asks of it. Thin: no decision is taken here."""
