"""Ray Serve and its HAProxy on the loopback interface, and the answers of that proxy (in pods, too)."""
