"""`luna up`: the whole application on one machine, with embedded Postgres and Valkey.

Code that starts, watches and stops processes belongs here. The application is that of `app.py`, unchanged.
"""
