"""The capabilities, one folder each. No capability imports another; shared code moves to a lower room."""
