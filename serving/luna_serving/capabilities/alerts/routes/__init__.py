"""`/alerts/...` and the rules and alerts of `/prometheus/api/v1`. The routes cost no units."""
