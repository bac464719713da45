"""The library: sets as they are, validated or not, and what becomes of them."""
