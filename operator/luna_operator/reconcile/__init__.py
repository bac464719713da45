"""Observes, plans and acts: on single accounts from a queue, and on all of them in pages by the sweep."""
