"""The Ray Serve application: the HTTP edge, the capabilities behind it and the engine they share.

Here belongs what answers a caller. What serving and the operator share lives in `luna_store`; what talks to
the Kubernetes API lives in `luna_operator`.
"""
