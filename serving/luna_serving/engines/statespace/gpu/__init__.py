"""Filters for an NVIDIA GPU: Pallas kernels, lowered through Triton, with the loop over time inside.

A `lax.scan` launches kernels for every step of time, 8 to 9 µs whatever the batch. Here one launch runs all of them:
one thread per series (or a few), state in registers, observations streamed from [time, batch] arrays.

What belongs here: recursions over arrays of few states that start from known moments, and which device can run
them. What does not: the exact diffuse phase, smoothing and gains in float64, which the ordinary engine computes
before; choosing among plans, which asks `device.supported`. The kernels' modules are to be imported
where they run: Pallas takes 0.3 s to load, and a CPU runs it only in tests (`interpret=True`).
"""
