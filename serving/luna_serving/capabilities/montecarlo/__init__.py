"""Monte Carlo valuation: one body, answered at once or by a job of the kind `montecarlo`.

Here belong requests, charges, what travels to the replicas, and the job. Paths and estimates belong to
`engines.finance.montecarlo`.
"""
