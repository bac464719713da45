"""From requests to formulas and windows, with errors that point to the field."""
