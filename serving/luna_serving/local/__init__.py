"""`luna up`: the whole application on one machine, with embedded Postgres and Valkey.

Here belongs what starts, watches and stops processes. The application that it runs is the one of `app.py`,
unchanged.
"""
