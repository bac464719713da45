"""Questions to the samples: how the shard is asked, and anomaly rules with what they have learnt, kept in Postgres."""
