"""Calculations with one body and two doors: a route of their own, and `POST /jobs/`.

`POST /api/v1/<name>` answers at once where the estimated compute is below a second; otherwise it creates the job that
`POST /jobs/` with the same parameters would, and answers 202 with `Location` and the job. A capability describes its
calculation by a `Door`; `Doors` makes the route and the job's `Prepare` of it. What a calculation computes, and how its
job runs, belongs to its capability.
"""
