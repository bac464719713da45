"""Webhooks: what a job's receiver gets, to which addresses, how it is signed and how often it is tried.

Messages and secrets are rows of `luna_store.jobs`; what a job looks like as JSON is the business of the jobs' routes.
"""
