"""The evaluation of rules: when, what they ask, how alerts advance, and what is written in one transaction.

Not here: how alerts change (`states`), what is sent to receivers (`delivery`).
"""
