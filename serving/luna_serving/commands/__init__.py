"""The subcommands of `luna`, apart from `luna up`: migrations, settlement and accounts.

Here belongs what one command does and says. It never imports ray or jax: an account command is done in half a
second. Parsing the command line is `luna_serving.cli`'s.
"""
