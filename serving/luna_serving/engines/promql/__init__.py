"""PromQL: a parser and a vectorised evaluator over columns of samples, as Prometheus 3.14 without feature flags.

Rooms, each importing only those before it:

- `series`, `errors`, `regex`; `matchers`; `extensions`; `source`, `results`, `limits`: the values of the interface;
- `syntax`: text to a checked tree with positions;
- `labels`, `columns`, `samples`, `sums`: arrays of values over (series, steps), samples and windows, compensated sums;
- `functions`: the functions of the language over arrays;
- `evaluation`: a tree over a grid of steps;
- `api`: what other packages import.

Nothing here loads samples: a `Source` given by the caller does. Storage, HTTP and Prometheus' answer format belong to
capabilities.
"""
