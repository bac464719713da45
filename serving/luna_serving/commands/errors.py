"""The error of a command that cannot do its work; its message has the cure."""


class CommandFailed(Exception):
    """Its message is printed as it is; the exit status is 1."""
