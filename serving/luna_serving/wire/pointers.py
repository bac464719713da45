"""JSON pointers (RFC 6901) into a request, and the bound on the errors of one problem."""

from collections.abc import Iterable, Iterator
from itertools import islice

from luna_serving.wire.problems import FieldError

# Errors per problem.
MAX_ERRORS = 10
# Characters of a name or value that an error repeats: enough to find it.
MAX_ECHO = 64


def pointer_of(steps: Iterable[str]) -> str:
    """The JSON pointer of member names and indices; long names are shortened."""
    return "".join("/" + cut(step, MAX_ECHO).replace("~", "~0").replace("/", "~1") for step in steps)


def cut(text: str, most: int) -> str:
    """The text, or its beginning and end if it is longer than `most`."""
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 :]}"


def first(errors: Iterator[FieldError]) -> list[FieldError]:
    """The first errors, as many as a problem shows."""
    return list(islice(errors, MAX_ERRORS))
