"""Runs jobs on a worker: claims, attempts, heartbeats and endings. What a job computes is its kind's."""
