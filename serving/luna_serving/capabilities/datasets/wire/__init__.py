"""Bodies that the routes of data sets read, and the answers that they write."""
