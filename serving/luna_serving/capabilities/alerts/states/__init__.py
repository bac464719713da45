"""How alerts change at an evaluation. Pure: no clock, no store, no randomness of its own."""
