"""Webhooks of jobs: the outbox, what a receiver gets and how often it is tried, and the account's secret.

Messages and secrets are rows of `luna_store.jobs`; what a job looks like as JSON is the business of the jobs' routes.
Addresses, signatures and a single try belong to `luna_serving.webhooks`.
"""
