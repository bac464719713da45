"""The routes of market data."""
