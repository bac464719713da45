"""What travels between the ingress and a replica: jobs on the way in, rendered answers on the way out."""
