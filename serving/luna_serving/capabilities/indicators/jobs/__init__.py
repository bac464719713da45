"""What travels between the ingress and a replica. Imports no store and no edge."""
