"""Models that an account stores under a name: their routes, and how a call that names one finds it."""
