"""What the engine of portfolios offers to capabilities, which import nothing else of it.

`problems` is what an ingress needs: constraints, objectives, estimates, refusals and checks. `answers` is what a
replica calls besides. `filtering` loads JAX.
"""
