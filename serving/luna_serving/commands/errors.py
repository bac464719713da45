"""Why a command cannot do what it was asked to; the message tells the cure."""


class CommandFailed(Exception):
    """Shown as it stands; the exit status is 1."""
