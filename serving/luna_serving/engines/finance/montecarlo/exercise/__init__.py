"""Early exercise: policies by regression (Longstaff and Schwartz 2001), bounded from above (Andersen and Broadie 2004)."""
