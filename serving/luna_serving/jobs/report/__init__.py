"""Reports for people: one self-contained HTML page with tables and charts, made from data by pure functions.

A kind of job contributes `page.Section`s and no HTML; what its numbers mean is its own business. `charts` draws SVG,
`page` writes the page, `of_job` is the frame of a job's report.
"""
