"""Observe, plan, act: one account at a time from a queue, all of them in pages by the sweep."""
