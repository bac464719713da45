"""`GET /api/v1/requests` and the retention of the request log. Who writes it is `luna_serving.access.request_log`."""
