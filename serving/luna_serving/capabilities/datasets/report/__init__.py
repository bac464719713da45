"""The report on a set: the JSON that is kept, and the page that people read."""
