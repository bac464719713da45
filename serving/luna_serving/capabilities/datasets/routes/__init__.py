"""The routes of data sets: uploads, validation, and the library of sets."""
