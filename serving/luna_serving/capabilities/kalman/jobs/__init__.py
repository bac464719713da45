"""What travels between the edge and a replica: jobs on the way in, rendered answers on the way out."""
