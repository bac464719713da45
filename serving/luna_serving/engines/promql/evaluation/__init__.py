"""A tree over a grid of steps.

Rooms: `grid`; `planning`, what a tree reads and which parts do not depend on the step; `notes`, warnings and infos;
`ranking`, `aggregations`, `binary`, `buckets`, `over_ranges`, `extended`: nodes whose operands are evaluated;
`evaluator`, the walk over the tree.
"""
