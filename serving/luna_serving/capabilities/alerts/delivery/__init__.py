"""What receivers get: messages to webhooks, alerts to Alertmanagers, silences.

`notices`, `payload` and `silencing` are pure. Not here: when alerts change (`evaluation`), sockets
(`luna_serving.live`).
"""
