"""Early exercise: policies by regression (Longstaff and Schwartz 2001), bounds from above (Andersen and Broadie)."""
