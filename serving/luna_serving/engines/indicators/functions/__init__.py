"""Formulas that TA-Lib does not have, or has in another form. Each takes columns without NaN: see `formula.Formula`."""
