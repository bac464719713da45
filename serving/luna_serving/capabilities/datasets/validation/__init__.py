"""Validators of files and sets, the same in a job and on a laptop.

They read local files and report findings. No stores, no HTTP, no Ray: what runs here runs in a child process without
network (`sandbox`), and in `luna data check`.
"""
