"""Runs validators on files that nobody vouches for, in processes that can do no harm.

A server process imports the libraries once and forks a child for each file (`server`). A child has limits of memory,
time, files and output, no network and no way to start programs (`isolation`). A crash, a bomb or a timeout of a child
is an `Outcome`, never an exception. `sandbox` is the parent's side. Linux; elsewhere what is missing stands in
`coverage`.
"""
