"""Messages to the receivers of accounts over HTTP: which addresses they may go to, how they are signed, one try.

Belongs here: what every kind of message shares. Not here: outboxes and schedules of tries, which belong to those who
send (`jobs/webhooks`, `capabilities/alerts/delivery`).
"""
