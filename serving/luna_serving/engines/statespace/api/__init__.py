"""What the state-space engine offers to capabilities, which import nothing else of it.

`description` is what an ingress needs: models, kinds, checks, results and what a cost estimate asks. It loads no JAX.
`compute` is what a replica calls: filter, smooth, forecast, simulate, fit and compiling ahead. It loads JAX.
"""
