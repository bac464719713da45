"""The kinds of jobs of the Kalman capability: what they check when a job is created, and how workers run them."""
