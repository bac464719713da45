"""The request log: one row per answered request, by day. Who writes it is `luna_serving.access.request_log`."""
