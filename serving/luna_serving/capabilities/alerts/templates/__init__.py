"""Templates of labels and annotations: the subset of Go's `text/template` that Prometheus' rules use. Pure.

Actions with pipelines, `if`/`else`/`end`, comments, `$labels`, `$value`, literals, parentheses and the functions of
`functions`. Not here: `query`, `range`, `define` and what else would need a store or a loop; they are refused when a
rule is created.
"""
