"""The wire schemas of `POST /montecarlo`."""
