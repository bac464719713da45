"""Ray Serve and its HAProxy on the loopback interface, and that proxy's own answers (also in pods)."""
