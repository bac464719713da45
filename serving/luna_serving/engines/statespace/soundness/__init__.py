"""Whether float64 has enough digits for a series: measured, not guessed.

Here belongs what judges answers: two of one series in different units (`twins`), decisions of the diffuse phase
(`diffuse`), what no answer may be (`impossible`), the models that need no watching (`plain`), and what runs the passes
and acts on the verdict (`checked`).
"""
