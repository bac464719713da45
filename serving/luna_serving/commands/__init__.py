"""The subcommands of `luna`, apart from `luna up`: migrations, settlement and accounts.

The work and the messages of one command belong here; parsing the command line belongs to `luna_serving.cli`. Nothing
here imports ray or jax, so that an account command takes half a second.
"""
