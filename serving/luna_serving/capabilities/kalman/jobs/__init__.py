"""What the edge and a replica exchange: jobs, and rendered answers."""
