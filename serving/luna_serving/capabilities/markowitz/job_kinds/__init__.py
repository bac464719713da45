"""The kind of job `markowitz`: how workers run it, and what its report shows."""
